import type { Snapshot, SnapshotPage } from '../backend/backend.js';
import { formatSnapshotId, type SnapshotId } from '../domain/snapshot-id.js';
import { formatVolumeId, type VolumeId } from '../domain/volume-id.js';
import { DriverError } from '../domain/errors.js';
import type { CallContext } from '../platform/call-context.js';
import type { Credentials } from '../platform/credentials.js';
import type { ControllerDependencies, ListInput } from './controller-service.js';
import { findSnapshot } from './get-snapshot.js';
import { listOverBackends } from './list-over-backends.js';
import { withReach } from './place-of.js';

/** What ListSnapshots may be narrowed to. Ids that name nothing give an empty list. */
export interface ListSnapshotsInput extends ListInput {
  readonly snapshot: { readonly id: SnapshotId | undefined; readonly idText: string } | undefined;
  readonly source: { readonly id: VolumeId | undefined } | undefined;
  readonly credentials: Credentials | undefined;
}

/** @throws DriverError ABORTED for a token that was not given out here (CSI spec, ListSnapshots Errors). */
export async function listSnapshots(
  ctx: CallContext,
  deps: ControllerDependencies,
  input: ListSnapshotsInput,
): Promise<SnapshotPage> {
  if (input.snapshot !== undefined) return one(await findSnapshot(ctx, deps, { ...input.snapshot, ...input }), input);
  if (input.source !== undefined) return reported(deps, await ofSource(ctx, deps, input.source.id, input));
  const { items, next } = await listOverBackends([...deps.backends.keys()], input, async (kind, after, max) => {
    const page = await deps.backends.get(kind)?.snapshots.list(ctx, after, max);
    return { items: page?.snapshots ?? [], next: page?.next };
  });
  return reported(deps, { snapshots: items, next });
}

function reported(deps: ControllerDependencies, { snapshots, next }: SnapshotPage): SnapshotPage {
  return { snapshots: snapshots.map((snapshot) => withReach(deps, snapshot.id.source, snapshot)), next };
}

function one(snapshot: Snapshot | undefined, { source }: ListSnapshotsInput): SnapshotPage {
  const fits =
    snapshot !== undefined &&
    (source === undefined ||
      (source.id !== undefined && formatVolumeId(source.id) === formatVolumeId(snapshot.id.source)));
  return { snapshots: fits ? [snapshot] : [], next: undefined };
}

/** A volume has few snapshots: they are read whole, and a token is the id of the last one seen. */
async function ofSource(
  ctx: CallContext,
  deps: ControllerDependencies,
  source: VolumeId | undefined,
  { maxEntries, startingToken }: ListSnapshotsInput,
): Promise<SnapshotPage> {
  const backend = source === undefined ? undefined : deps.backends.get(source.backend);
  const found = source === undefined ? [] : ((await backend?.snapshots.of(ctx, source)) ?? []);
  const sorted = found
    .map((snapshot) => ({ snapshot, text: formatSnapshotId(snapshot.id) }))
    .sort((a, b) => (a.text < b.text ? -1 : 1));
  const start = startingToken === '' ? 0 : sorted.findIndex(({ text }) => text > startingToken);
  if (startingToken !== '' && !startingToken.includes('@')) {
    throw new DriverError('ABORTED', 'starting_token is not one that this list gave out: start again without it');
  }
  const rest = start < 0 ? [] : sorted.slice(start);
  const page = maxEntries === 0 ? rest : rest.slice(0, maxEntries);
  return {
    snapshots: page.map(({ snapshot }) => snapshot),
    next: page.length < rest.length ? page.at(-1)?.text : undefined,
  };
}

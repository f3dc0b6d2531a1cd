import type { VolumePage } from '../backend/backend.js';
import { DriverError } from '../domain/errors.js';
import type { CallContext } from '../platform/call-context.js';
import type { ControllerDependencies, ListVolumesInput } from './controller-service.js';

/**
 * Backend after backend; a token names the backend whose page comes next.
 * @throws DriverError ABORTED for a token that was not given out here (CSI spec, ListVolumes Errors).
 */
export async function listVolumes(
  ctx: CallContext,
  deps: ControllerDependencies,
  input: ListVolumesInput,
): Promise<VolumePage> {
  const kinds = [...deps.backends.keys()].sort();
  const [startKind, startAfter] = parseToken(input.startingToken, kinds);
  const volumes: VolumePage['volumes'][number][] = [];
  for (const [i, kind] of kinds.slice(kinds.indexOf(startKind)).entries()) {
    const room = input.maxEntries === 0 ? 0 : input.maxEntries - volumes.length;
    if (input.maxEntries !== 0 && room === 0) return { volumes, next: `${kind}:` };
    const page = await deps.backends.get(kind)?.listVolumes(ctx, i === 0 ? startAfter : '', room);
    volumes.push(...(page?.volumes ?? []));
    if (page?.next !== undefined) return { volumes, next: `${kind}:${page.next}` };
  }
  return { volumes, next: undefined };
}

function parseToken<K extends string>(token: string, kinds: readonly K[]): [K, string] {
  const [first] = kinds;
  if (token === '' && first !== undefined) return [first, ''];
  const at = token.indexOf(':');
  const kind = kinds.find((one) => one === token.slice(0, at));
  if (at > 0 && kind !== undefined) return [kind, token.slice(at + 1)];
  throw new DriverError('ABORTED', 'starting_token is not one that ListVolumes gave out: start again without it');
}

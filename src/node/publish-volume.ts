import { mkdir, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { cleanupMountPoint, type MountInfo, mountPointOf, probePath } from 'mount-utils-ts';
import type { StagedVolume } from '../backend/backend.js';
import { isReaderOnly, isSingleTarget } from '../domain/capability.js';
import { DriverError } from '../domain/errors.js';
import { formatVolumeId } from '../domain/volume-id.js';
import type { CallContext } from '../platform/call-context.js';
import { asDriverError } from '../platform/mount-failure.js';
import { bindReadOnly, clearAside } from './bind-read-only.js';
import { workingStage } from './working-stage.js';
import { backendOf, type NodeDependencies, type PublishInput } from './node-service.js';

const probeTimeoutMs = 3_000;

/**
 * Binds the staged volume to the target path.
 * @throws DriverError FAILED_PRECONDITION (not staged; published elsewhere), ALREADY_EXISTS (there in another way).
 */
export async function publishVolume(ctx: CallContext, deps: NodeDependencies, input: PublishInput): Promise<void> {
  const backend = backendOf(deps, input.id);
  const fingerprint = JSON.stringify([input.targetPath, input.stagingPath, input.capability, input.readOnly]);
  await deps.lock.run(formatVolumeId(input.id), 'NodePublishVolume', fingerprint, async () => {
    const staged = await workingStage(ctx, backend, input);
    try {
      await publish(ctx, deps, input, staged);
    } catch (error) {
      throw asDriverError(error);
    }
  });
}

async function publish(
  ctx: CallContext,
  deps: NodeDependencies,
  input: PublishInput,
  staged: StagedVolume,
): Promise<void> {
  const readOnly = input.readOnly || isReaderOnly(input.capability.mode);
  refuseOtherAccess(input, staged, readOnly);
  await clearAside(deps, input.targetPath);
  const table = await deps.mounter.list();
  if (await alreadyPublished(ctx, deps, input, staged, table, readOnly)) return;
  if (isSingleTarget(input.capability.mode)) refuseSecondTarget(input, staged, table);
  await makeTarget(input, staged);
  if (readOnly && staged.access === 'mount') await bindReadOnly(ctx, deps, staged.source, input.targetPath);
  else await deps.mounter.bindMount(staged.source, input.targetPath, {}, { signal: ctx.signal });
}

function refuseOtherAccess(input: PublishInput, staged: StagedVolume, readOnly: boolean): void {
  const id = formatVolumeId(input.id);
  if (staged.access !== input.capability.access.type) {
    throw new DriverError(
      'FAILED_PRECONDITION',
      `volume ${id} is staged as ${staged.access} and can't be published as ${input.capability.access.type}: unstage it first`,
    );
  }
  if (!readOnly && staged.readOnly) {
    throw new DriverError(
      'FAILED_PRECONDITION',
      staged.whyReadOnly ??
        `volume ${id} is staged read-only and can't be published for writing: unstage it and stage it with a writer access mode`,
    );
  }
  // A read-only bind of a device node does not stop writes to the device.
  if (readOnly && !staged.readOnly && staged.access === 'block') {
    throw new DriverError(
      'FAILED_PRECONDITION',
      `block volume ${id} is staged for writing and can't be published read-only: stage it with a reader access mode`,
    );
  }
}

async function alreadyPublished(
  ctx: CallContext,
  deps: NodeDependencies,
  input: PublishInput,
  staged: StagedVolume,
  table: readonly MountInfo[],
  readOnly: boolean,
): Promise<boolean> {
  const there = mountPointOf(input.targetPath, table);
  if (there === undefined) return false;
  if ((await probePath(input.targetPath, probeTimeoutMs)) !== 'present') {
    ctx.log.warn({ target: input.targetPath }, 'the published mount no longer answers: publishing anew');
    await cleanupMountPoint(input.targetPath, deps.mounter, { probeTimeoutMs });
    return false;
  }
  const wantsReadOnly = readOnly && staged.access === 'mount';
  if (
    isSame(there, mountPointOf(staged.source, table)) &&
    there.mountOptions.includes('ro') === (wantsReadOnly || sourceIsReadOnly(staged, table))
  )
    return true;
  throw new DriverError(
    'ALREADY_EXISTS',
    `target_path ${input.targetPath} has ${there.source} mounted ${there.mountOptions.includes('ro') ? 'read-only' : 'for writing'}, which is not what this request asks for: unpublish it first`,
  );
}

function sourceIsReadOnly(staged: StagedVolume, table: readonly MountInfo[]): boolean {
  return mountPointOf(staged.source, table)?.mountOptions.includes('ro') === true;
}

/** Pods share a ReadWriteOncePod volume with nobody, on this node neither (CSI spec, NodePublishVolume). */
function refuseSecondTarget(input: PublishInput, staged: StagedVolume, table: readonly MountInfo[]): void {
  const source = mountPointOf(staged.source, table);
  const other = table.find(
    (entry) => isSame(entry, source) && entry.mountPoint !== staged.source && entry.mountPoint !== input.targetPath,
  );
  if (other === undefined) return;
  throw new DriverError(
    'FAILED_PRECONDITION',
    `volume ${formatVolumeId(input.id)} is published at ${other.mountPoint} already and access mode ${input.capability.mode} allows one target: unpublish it there first`,
  );
}

function isSame(entry: MountInfo, source: MountInfo | undefined): boolean {
  return entry.major === source?.major && entry.minor === source.minor && entry.root === source.root;
}

async function makeTarget(input: PublishInput, staged: StagedVolume): Promise<void> {
  const { targetPath } = input;
  const found = await stat(targetPath).catch(() => undefined);
  const wantsFile = staged.access === 'block';
  if (found !== undefined) {
    if (found.isDirectory() !== wantsFile) return;
    throw new DriverError(
      'INVALID_ARGUMENT',
      `target_path ${targetPath} is ${wantsFile ? 'a directory, and a block volume needs a file' : 'a file, and a mounted volume needs a directory'}: remove it`,
    );
  }
  await mkdir(dirname(targetPath), { recursive: true, mode: 0o750 });
  if (wantsFile) await writeFile(targetPath, '', { mode: 0o600, flag: 'a' });
  else await mkdir(targetPath, { recursive: true, mode: 0o750 });
}

import type { Exec } from './exec.js';
import { MountError, programError } from './mount-error.js';
import { isCleanExt, readHead } from './superblock.js';

/** A check that is stopped halfway may leave more damage than it found, so it gets hours. */
const CHECK_TIMEOUT_MS = 4 * 60 * 60_000;

/** Bits of the exit code of e2fsck(8); 1 (errors corrected) and 2 (reboot, if it is mounted) are fine here. */
const HARMLESS = 1 | 2;
const ERRORS_LEFT = 4;

/**
 * Repairs what can be repaired without asking: `fsck.ext4 -p` for the ext family, nothing for others (xfs replays its log
 * when it is mounted, and fsck.xfs(8) does nothing). One whose superblock says that it is clean is left alone without starting fsck, which would
 * decide the same. The device must not be mounted. A missing fsck is passed over.
 * Not abortable. Throws MountError: HasFilesystemErrors when errors are left, Unknown when fsck itself failed.
 */
export async function checkFileSystem(
  exec: Exec,
  device: string,
  fsType: string,
  when: 'unless it is clean' | 'even if it is clean' = 'unless it is clean',
): Promise<void> {
  if (!/^ext[234]$/.test(fsType)) return;
  if (when === 'unless it is clean' && (await saysItIsClean(device))) return;
  const program = `fsck.${fsType}`;
  const result = await exec(program, [...(when === 'even if it is clean' ? ['-f'] : []), '-p', device], {
    timeoutMs: CHECK_TIMEOUT_MS,
  });
  if (result.failure === 'not-found') return;
  const code = result.failure === undefined ? result.exitCode : null;
  if (code !== null && (code & ~HARMLESS) === 0) return;
  // e2fsck writes its findings to stdout.
  const said = { ...result, stderr: `${result.stdout}\n${result.stderr}` };
  if (code !== null && (code & ERRORS_LEFT) !== 0) {
    throw programError({
      kind: 'HasFilesystemErrors',
      what: `the ${fsType} file system on ${device} has errors that cannot be repaired without asking`,
      program,
      result: said,
      advice: `Nothing was mounted. Save a copy of the volume, then run "e2fsck ${device}" by hand.`,
    });
  }
  throw programError({
    kind: 'Unknown',
    what: `could not check the ${fsType} file system on ${device}`,
    program,
    result: said,
    advice: 'Nothing was mounted. Is the device in use elsewhere, or was it formatted by something newer?',
  });
}

/** False also when it can't be read: fsck will say why. */
async function saysItIsClean(device: string): Promise<boolean> {
  const head = await readHead(device).catch(() => undefined);
  return head !== undefined && isCleanExt(head);
}

/** What to add to a failed mount of `fsType`; the same error when there is nothing to add. */
export function explainMountFailure(error: unknown, device: string, fsType: string): unknown {
  if (fsType !== 'xfs' || !(error instanceof MountError) || error.failure !== undefined) return error;
  return new MountError(
    error.kind,
    `${error.message} An xfs file system replays its log when it is mounted; if the kernel log speaks of corruption, ` +
      `save a copy of the volume, then run "xfs_repair ${device}" by hand; if it speaks of a duplicate UUID, this is a ` +
      `clone of a file system that is mounted here too: add the mount option nouuid.`,
    { program: error.program, exitCode: error.exitCode, cause: error },
  );
}

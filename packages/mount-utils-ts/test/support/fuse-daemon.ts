import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { mountPointOf, readMountInfo } from '../../src/mount-info.js';
import { MIB, notRoot, type Workspace } from './workspace.js';

const PROGRAM = '/usr/bin/qemu-storage-daemon';

/** Why tests with a FUSE daemon are skipped, or false. */
export const noFuseDaemon =
  notRoot !== false
    ? notRoot
    : existsSync(PROGRAM) && existsSync('/dev/fuse')
      ? false
      : `${PROGRAM} or /dev/fuse is missing`;

/** Exports a file as a FUSE mount over another file; the daemon dies with the workspace. */
export async function startFuseDaemon(space: Workspace): Promise<{ mountPoint: string; pid: number }> {
  const image = await space.makeImage('fuse-image', 4 * MIB);
  const mountPoint = await space.makeImage('fuse-export', 0);
  const child = spawn(
    PROGRAM,
    [
      ...['--blockdev', `driver=file,filename=${image},node-name=n`],
      ...['--export', `type=fuse,id=e,node-name=n,mountpoint=${mountPoint},writable=on,allow-other=auto`],
    ],
    { stdio: 'ignore' },
  );
  const { pid } = child;
  if (pid === undefined) throw new Error(`${PROGRAM} could not be started`);
  space.pids.push(pid);
  child.unref();
  for (let tries = 0; tries < 100; tries++) {
    if (mountPointOf(mountPoint, await readMountInfo()) !== undefined) return { mountPoint, pid };
    await sleep(50);
  }
  throw new Error(`${PROGRAM} did not mount within 5 s`);
}

import { type FileHandle, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { mountCapability } from '../test/harness/requests.js';
import { showRestore } from './demo-restore.js';
import { type DemoContext, DemoVolume, inMib, mib, type Secrets } from './demo-volume.js';

const quotaBytes = 64n * mib;
const grownBytes = 2n * quotaBytes;
const pieceBytes = 4n * mib;
/** CephFS clients count lately; one that writes so much more than it may doesn't count at all. */
const tooMuchBytes = 4n * quotaBytes;
/** A client hears of a larger quota within moments. */
const noticeMs = 10_000;

/** CephFS: a directory with a quota, shared by two pods, that is full, grows, and goes on being written. */
export async function showCephfs(context: DemoContext): Promise<void> {
  const { steps } = context;
  const capability = mountCapability('MULTI_NODE_MULTI_WRITER', '');
  const secrets = await steps.run('make a Ceph user for CephFS', async () => cephfsUser(context));
  const create = { parameters: { backend: 'cephfs' }, requiredBytes: quotaBytes, capabilities: [capability] };
  const options = { name: 'demo-shared', secrets, create, node: { capability } };
  const volume = new DemoVolume(context, options);
  await steps.run(
    `CreateVolume: a directory of ${inMib(quotaBytes)}`,
    async () => volume.create(),
    (id) => id,
  );
  await steps.run('NodeStageVolume: ceph-fuse', async () => volume.stage());
  await steps.run('NodePublishVolume to two pods at once', async () => {
    await volume.publish('pod-a');
    await volume.publish('pod-b');
  });
  await steps.run('pod A writes, pod B reads', async () => {
    await writeFile(join(volume.target('pod-a'), 'note'), 'from A');
    const read = await readFile(join(volume.target('pod-b'), 'note'), 'utf8');
    if (read !== 'from A') throw new Error(`pod B reads "${read}"`);
  });
  await steps.run(
    'df in pod A: the quota is the size',
    async () => dfShows(volume.target('pod-a'), quotaBytes),
    (line) => line,
  );
  await fillAndGrow(context, volume);
  await steps.run('unpublish both, publish to a third', async () => {
    await volume.unpublish('pod-a');
    await volume.unpublish('pod-b');
    await volume.publish();
  });
  await showRestore(context, volume, options, 2n * grownBytes);
}

async function cephfsUser({ cluster }: DemoContext): Promise<Secrets> {
  const caps = { mon: 'allow r', mds: 'allow rwps', osd: 'allow rw tag cephfs data=cephfs' };
  return { userID: 'demo-cephfs', userKey: await cluster.createUser('demo-cephfs', caps) };
}

async function fillAndGrow({ steps }: DemoContext, volume: DemoVolume): Promise<void> {
  const file = await open(join(volume.target('pod-a'), 'data'), 'w');
  try {
    await steps.run(
      'pod A writes until the quota refuses it',
      async () => writeUntilRefused(file),
      (bytes) => `EDQUOT after ${inMib(bytes)} (clients may notice a little late)`,
    );
    await steps.run(
      `ControllerExpandVolume to ${inMib(grownBytes)}`,
      async () => {
        if (await volume.grow(grownBytes)) throw new Error('a quota leaves nothing to the node');
        return dfShows(volume.target('pod-b'), grownBytes);
      },
      (line) => line,
    );
    await steps.run('the refused write goes on', async () => writeAgain(file));
  } finally {
    await file.close();
  }
}

/** @returns how many bytes were taken before EDQUOT. */
async function writeUntilRefused(file: FileHandle): Promise<bigint> {
  const piece = Buffer.alloc(Number(pieceBytes), 'x');
  let bytes = 0n;
  while (bytes < tooMuchBytes) {
    try {
      await file.write(piece);
      await file.datasync();
    } catch (error) {
      if (isQuotaRefusal(error)) return bytes;
      throw error;
    }
    bytes += pieceBytes;
  }
  throw new Error(`the quota of ${inMib(quotaBytes)} has let ${inMib(bytes)} through`);
}

async function writeAgain(file: FileHandle): Promise<void> {
  const piece = Buffer.alloc(Number(pieceBytes), 'x');
  await soon(async () => {
    await file.write(piece);
    await file.datasync();
  });
}

/** @returns df's line when it shows that size. */
async function dfShows(path: string, sizeBytes: bigint): Promise<string> {
  return soon(async () => {
    const { stdout } = await execa('df', ['--block-size=1M', '--output=size,used,avail', path]);
    const [size, used, available] = (stdout.split('\n').at(-1) ?? '').trim().split(/\s+/);
    if (size !== String(sizeBytes / mib)) throw new Error(`df shows ${size ?? ''} MiB instead of ${inMib(sizeBytes)}`);
    return `size ${size}, used ${used ?? ''}, available ${available ?? ''} MiB`;
  });
}

/** Repeats what fails until it doesn't. @throws its last failure. */
async function soon<T>(attempt: () => Promise<T>): Promise<T> {
  for (const end = Date.now() + noticeMs; ;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > end) throw error;
      await sleep(100);
    }
  }
}

/** errno(3), EDQUOT; Node has no name for it. */
function isQuotaRefusal(error: unknown): boolean {
  return error instanceof Error && 'errno' in error && error.errno === -122;
}

import { createHash, randomBytes } from 'node:crypto';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { blockCapability, mountCapability } from '../test/harness/requests.js';
import { showRestore } from './demo-restore.js';
import { type DemoContext, DemoVolume, gib, mib, type Secrets } from './demo-volume.js';

const parameters = { pool: 'rbd' };

/** RBD: a file system whose data survives unstaging and growth, one that grows while it is in use, and a raw block device. */
export async function showRbd(context: DemoContext): Promise<void> {
  const secrets = await context.steps.run('make a Ceph user for the pool rbd', async () => {
    const caps = { mon: 'profile rbd', mgr: 'profile rbd', osd: 'profile rbd pool=rbd' };
    return { userID: 'demo-rbd', userKey: await context.cluster.createUser('demo-rbd', caps) };
  });
  await fileSystemVolume(context, secrets);
  await growingVolume(context, secrets);
  await blockVolume(context, secrets);
}

/** Create, stage (formats a blank image), publish, write; everything away, grown, and back again: the data is there, and so it is in what a snapshot gives. */
async function fileSystemVolume(context: DemoContext, secrets: Secrets): Promise<void> {
  const { steps } = context;
  const options = { name: 'demo-volume', secrets, create: { parameters } };
  const volume = new DemoVolume(context, options);
  const id = await steps.run(
    'CreateVolume: an RBD image of 1 GiB',
    async () => volume.create(),
    (text) => text,
  );
  await steps.run('CreateVolume again: the same answer', async () => {
    if ((await volume.create()) !== id) throw new Error('the repeated CreateVolume gave another volume');
  });
  await steps.run('NodeStageVolume: map, mkfs.ext4, mount', async () => volume.stage());
  await steps.run('NodePublishVolume: bind to the pod', async () => volume.publish());
  const file = join(volume.target(), 'data');
  const written = await steps.run(
    'the application writes 64 MiB',
    async () => writeData(file),
    (sum) => `sha256 ${sum.slice(0, 12)}`,
  );
  await steps.run(
    'NodeGetVolumeStats',
    async () => volume.usage(),
    (text) => text,
  );
  await steps.run('NodeUnpublishVolume, NodeUnstageVolume', async () => volume.detach());
  await steps.run('ControllerExpandVolume to 2 GiB, unstaged', async () => volume.grow(2n * gib));
  await steps.run(
    'stage, which grows ext4, and publish',
    async () => {
      await volume.attach();
      return volume.usage();
    },
    (text) => text,
  );
  await steps.run(
    'the application reads its data back',
    async () => {
      const read = sha256(await readFile(file));
      if (read !== written) throw new Error(`the data has changed: ${read} instead of ${written}`);
    },
    () => 'the same',
  );
  await showRestore(context, volume, options, 3n * gib);
}

/** xfs, for its growth needs no right beyond the mount; ext4 wants CAP_SYS_RESOURCE, which a container's root may lack. */
async function growingVolume(context: DemoContext, secrets: Secrets): Promise<void> {
  const { steps } = context;
  const capability = mountCapability('SINGLE_NODE_WRITER', 'xfs');
  const create = { parameters, capabilities: [capability] };
  const volume = new DemoVolume(context, { name: 'demo-xfs', secrets, create, node: { capability } });
  await steps.run('an xfs volume of 1 GiB: create, stage, publish', async () => {
    await volume.create();
    await volume.attach();
  });
  await steps.run(
    'it grows in use: Controller-, NodeExpandVolume',
    async () => {
      const before = await volume.usage();
      if (!(await volume.grow(2n * gib))) throw new Error('ControllerExpandVolume leaves nothing to the node');
      await volume.growOnNode(2n * gib);
      return `${before}, then ${await volume.usage()}`;
    },
    (text) => text,
  );
  await steps.run('unpublish, unstage, DeleteVolume', async () => {
    await volume.detach();
    await volume.delete();
  });
}

async function blockVolume(context: DemoContext, secrets: Secrets): Promise<void> {
  const { steps } = context;
  const capability = blockCapability();
  const create = { parameters, capabilities: [capability] };
  const volume = new DemoVolume(context, { name: 'demo-block', secrets, create, node: { capability } });
  await steps.run('CreateVolume: a raw block volume', async () => volume.create());
  await steps.run('stage and publish the device', async () => volume.attach());
  await steps.run('write and read a block', async () => writeAndReadBlock(volume.target()));
  await steps.run('unpublish, unstage, DeleteVolume', async () => {
    await volume.detach();
    await volume.delete();
  });
}

async function writeData(path: string): Promise<string> {
  const data = randomBytes(Number(64n * mib));
  await writeFile(path, data, { flush: true });
  return sha256(data);
}

function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

async function writeAndReadBlock(path: string): Promise<void> {
  const block = randomBytes(4096);
  const offset = Number(8n * mib);
  const device = await open(path, 'r+');
  try {
    await device.write(block, 0, block.length, offset);
    await device.sync();
    const back = await device.read(Buffer.alloc(block.length), 0, block.length, offset);
    if (!back.buffer.equals(block)) throw new Error('the block read is not the block written');
  } finally {
    await device.close();
  }
}

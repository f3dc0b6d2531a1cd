import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { csi } from '../src/csi/gen/csi.js';
import { startCluster, type TestCluster } from '../test/harness/cluster.js';
import { call, type Driver, startDriver } from '../test/harness/driver.js';
import {
  blockCapability,
  createRequest,
  deleteRequest,
  publishRequest,
  stageRequest,
  unpublishRequest,
  unstageRequest,
} from '../test/harness/requests.js';
import { DemoSteps } from './demo-steps.js';
import { findLeftovers, removeLeftovers } from './testing/leftovers.js';
import { watchInterruption } from './testing/interruption.js';

const help = `npm run demo
  A real one-node Ceph on loopback, the driver, and the whole life of two volumes on this machine:
  an ext4 volume whose data survives unstaging, and a raw block device. Leaves nothing behind.`;

/** Marks every process of the demo, so that what is left can be told from anything else on the machine. */
const mark = 'CUTTLE_DEMO';
const mib = 1 << 20;

if (process.argv.includes('--help')) console.log(help);
else process.exitCode = await demo();

async function demo(): Promise<number> {
  const interruption = watchInterruption();
  const directory = await mkdtemp(join(tmpdir(), 'cuttle-demo-'));
  process.env[mark] = directory;
  const steps = new DemoSteps(interruption.signal);
  let cluster: TestCluster | undefined;
  let driver: Driver | undefined;
  try {
    cluster = await steps.run(
      'start Ceph: mon, mgr, osd, mds',
      async () => startCluster({ dir: join(directory, 'ceph') }),
      (one) => `fsid ${one.fsid.slice(0, 8)}`,
    );
    const { key, user } = await steps.run('make a restricted Ceph user', async () => restrictedUser(cluster));
    const config = `clusters:\n  - id: default\n    cephConf: ${cluster.confPath}\n`;
    driver = await steps.run(
      'serve the driver (controller and node)',
      async () => startDriver({ directory: join(directory, 'driver'), config }),
      (one) => `ready in ${one.readyMs.toFixed(0)} ms`,
    );
    const context: DemoContext = { steps, cluster, driver, directory, secrets: { userID: user, userKey: key } };
    await fileSystemVolume(context);
    await blockVolume(context);
  } catch (error) {
    steps.fail(error);
  }
  await steps.run('stop the driver', async () => driver?.stop(), undefined, 'always').catch(() => undefined);
  await steps.run('stop Ceph', async () => cluster?.stop(), undefined, 'always').catch(() => undefined);
  return finish(steps, directory, interruption.exitCode());
}

interface DemoContext {
  readonly steps: DemoSteps;
  readonly cluster: TestCluster;
  readonly driver: Driver;
  readonly directory: string;
  readonly secrets: Readonly<Record<string, string>>;
}

async function restrictedUser(cluster: TestCluster | undefined): Promise<{ user: string; key: string }> {
  const user = 'cuttle-demo';
  const key =
    (await cluster?.createUser(user, { mon: 'profile rbd', mgr: 'profile rbd', osd: 'profile rbd pool=rbd' })) ?? '';
  return { user, key };
}

/** Create, stage (formats a blank image), publish, write; everything away and back again: the data is there. */
async function fileSystemVolume({ steps, driver, directory, secrets }: DemoContext): Promise<void> {
  const staging = join(directory, 'staging');
  const target = join(directory, 'pod', 'data');
  const parameters = { pool: 'rbd' };
  const create = async () =>
    call<csi.v1.CreateVolumeResponse>((done) =>
      driver.controller.CreateVolume(createRequest('demo-volume', { parameters, secrets }), done),
    );
  const stage = async () => call((done) => driver.node.NodeStageVolume(stageRequest(id, staging, { secrets }), done));
  const publish = async () => call((done) => driver.node.NodePublishVolume(publishRequest(id, staging, target), done));
  const unpublish = async () => call((done) => driver.node.NodeUnpublishVolume(unpublishRequest(id, target), done));
  const unstage = async () => call((done) => driver.node.NodeUnstageVolume(unstageRequest(id, staging), done));

  const created = await steps.run(
    'CreateVolume: an RBD image of 1 GiB',
    create,
    (reply) => reply.volume?.volume_id ?? '',
  );
  const id = created.volume?.volume_id ?? '';
  await steps.run('CreateVolume again: the same answer', async () => {
    const again = await create();
    if (again.volume?.volume_id !== id) throw new Error('the repeated CreateVolume gave another volume');
  });
  await steps.run('NodeStageVolume: map, mkfs.ext4, mount', stage);
  await steps.run('NodePublishVolume: bind to the pod', publish);
  const written = await steps.run(
    'the application writes 64 MiB',
    async () => writeData(join(target, 'data')),
    (sum) => `sha256 ${sum.slice(0, 12)}`,
  );
  await steps.run(
    'NodeGetVolumeStats',
    async () => stats(driver, id, target),
    (text) => text,
  );
  await steps.run('NodeUnpublishVolume, NodeUnstageVolume', async () => {
    await unpublish();
    await unstage();
  });
  await steps.run('stage and publish again', async () => {
    await stage();
    await publish();
  });
  await steps.run(
    'the application reads its data back',
    async () => {
      const read = createHash('sha256')
        .update(await readFile(join(target, 'data')))
        .digest('hex');
      if (read !== written) throw new Error(`the data has changed: ${read} instead of ${written}`);
    },
    () => 'the same',
  );
  await steps.run('unpublish, unstage', async () => {
    await unpublish();
    await unstage();
  });
  await steps.run('DeleteVolume', async () =>
    call((done) => driver.controller.DeleteVolume(deleteRequest(id, secrets), done)),
  );
}

async function blockVolume({ steps, driver, directory, secrets }: DemoContext): Promise<void> {
  const staging = join(directory, 'staging-block');
  const target = join(directory, 'pod', 'device');
  const capability = blockCapability();
  const reply = await steps.run('CreateVolume: a raw block volume', async () =>
    call<csi.v1.CreateVolumeResponse>((done) =>
      driver.controller.CreateVolume(createRequest('demo-block', { capabilities: [capability], secrets }), done),
    ),
  );
  const id = reply.volume?.volume_id ?? '';
  await steps.run('stage and publish the device', async () => {
    await call((done) => driver.node.NodeStageVolume(stageRequest(id, staging, { capability, secrets }), done));
    await call((done) => driver.node.NodePublishVolume(publishRequest(id, staging, target, { capability }), done));
  });
  await steps.run('write and read a block', async () => {
    const block = randomBytes(4096);
    const device = await open(target, 'r+');
    try {
      await device.write(block, 0, block.length, 8 * mib);
      await device.sync();
      const back = await device.read(Buffer.alloc(block.length), 0, block.length, 8 * mib);
      if (!back.buffer.equals(block)) throw new Error('the block read is not the block written');
    } finally {
      await device.close();
    }
  });
  await steps.run('unpublish, unstage, DeleteVolume', async () => {
    await call((done) => driver.node.NodeUnpublishVolume(unpublishRequest(id, target), done));
    await call((done) => driver.node.NodeUnstageVolume(unstageRequest(id, staging), done));
    await call((done) => driver.controller.DeleteVolume(deleteRequest(id, secrets), done));
  });
}

async function writeData(path: string): Promise<string> {
  const data = randomBytes(64 * mib);
  await writeFile(path, data, { flush: true });
  return createHash('sha256').update(data).digest('hex');
}

async function stats(driver: Driver, id: string, path: string): Promise<string> {
  const reply = await call<csi.v1.NodeGetVolumeStatsResponse>((done) =>
    driver.node.NodeGetVolumeStats(new csi.v1.NodeGetVolumeStatsRequest({ volume_id: id, volume_path: path }), done),
  );
  const bytes = reply.usage.find((usage) => usage.unit === csi.v1.VolumeUsage.Unit.BYTES);
  const inMib = (text: string | undefined) => `${String(BigInt(text ?? '0') / BigInt(mib))} MiB`;
  return `${inMib(bytes?.used)} of ${inMib(bytes?.total)} used`;
}

/** The table, and the proof that nothing is left. */
async function finish(steps: DemoSteps, directory: string, interrupted: number | undefined): Promise<number> {
  const failed = steps.failure !== undefined;
  const left = await findLeftovers(directory, mark);
  if (failed && interrupted === undefined) await showLog(join(directory, 'driver', 'driver.log'));
  await removeLeftovers(directory, mark);
  await rm(directory, { recursive: true, force: true });
  console.log(`\n${steps.table()}`);
  for (const leftover of interrupted === undefined ? left : [])
    console.log(`left behind, and removed now: ${leftover.text}`);
  if (interrupted !== undefined) return interrupted;
  if (failed) console.log(`\nfailed: ${steps.failure}`);
  else if (left.length === 0)
    console.log('\nNothing is left mounted, mapped or running. Next: npm test, or docs/configuration.md');
  return failed || left.length > 0 ? 1 : 0;
}

async function showLog(path: string): Promise<void> {
  const lines = (await readFile(path, 'utf8').catch(() => '')).trim().split('\n').slice(-15);
  console.error(`--- the end of the driver's log\n${lines.join('\n')}\n---`);
}

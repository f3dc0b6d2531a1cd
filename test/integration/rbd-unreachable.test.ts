import { createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { clusterYaml } from '../harness/driver.js';
import { mountCapability } from '../harness/requests.js';
import { HealthRpc } from './health-rpc.js';
import { refusal } from './outcome.js';
import { Site } from './site.js';

t.setTimeout(120_000);

/** Takes connections and says nothing, as a monitor behind a firewall or a stopped one does. */
const sockets = new Set<Socket>();
const listener = createServer((socket) => {
  sockets.add(socket);
  socket.on('error', () => undefined);
});
await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
t.teardown(() => {
  for (const socket of sockets) socket.destroy();
  listener.close();
});
const address = listener.address();
const port = typeof address === 'object' && address !== null ? address.port : 0;
const silentMonitor = `127.0.0.1:${port}`;

const site = await Site.open(t, {
  configFor: (cluster) =>
    `${clusterYaml(cluster)}  - id: silent\n    cephConf: ${cluster.confPath}\n    monitors: "${silentMonitor}"\n`,
});
const deadlineMs = 5_000;
const impatient = site.rpc.within(deadlineMs);
const health = new HealthRpc(() => site.driver, deadlineMs);
const idThere = 'rbd:silent:rbd::csi-vol-x';
const requests: Readonly<Record<string, () => Promise<unknown>>> = {
  CreateVolume: async () => impatient.create('x', { parameters: { clusterID: 'silent' } }),
  DeleteVolume: async () => impatient.delete(idThere),
  ValidateVolumeCapabilities: async () => impatient.validate('rbd:silent:rbd::csi-vol-z', [mountCapability()]),
  ListVolumes: async () => impatient.list(),
  ControllerGetVolumeHealth: async () => health.volume(idThere),
  GetCapacity: async () => impatient.capacity({ clusterID: 'silent' }),
  NodeStageVolume: async () => impatient.stage('rbd:silent:rbd::csi-vol-y', site.path('stage')),
};

async function timed(work: Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work;
  return performance.now() - startMs;
}

async function otherClusterIsFast(t: Test, rounds: number): Promise<void> {
  const life = site.life(t);
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const options = { parameters: { clusterID: 'default', pool: site.pool }, requiredBytes: 16n << 20n };
    times.push(await timed(life.create(options)));
  }
  const slowest = Math.round(Math.max(...times));
  t.ok(slowest < 1_500, `the slowest of ${rounds} CreateVolume on the other cluster took ${slowest} ms`);
}

t.test(
  'RPCs to a cluster whose monitor is silent are UNAVAILABLE within the deadline and name the monitor',
  async (t) => {
    const startMs = performance.now();
    const outcomes = await Promise.all(
      Object.entries(requests).map(async ([rpc, start]) => ({ rpc, ...(await refusal(start())) })),
    );
    t.ok(performance.now() - startMs < deadlineMs + 500, 'in time');
    for (const { rpc, code, message } of outcomes) {
      t.equal(code, 'UNAVAILABLE', `${rpc}: ${message}`);
      t.match(message, silentMonitor, rpc);
      t.match(message, 'cluster "silent"', rpc);
    }
  },
);

t.test(
  'the node says within seconds that the silent cluster can not be reached, and nothing of the other',
  async (t) => {
    const startMs = performance.now();
    const unreachable = (await health.storage()).filter(({ status }) => status === 'STORAGE_UNREACHABLE');
    t.ok(performance.now() - startMs < deadlineMs, 'in time');
    t.equal(unreachable.length, 1);
    t.equal(unreachable[0]?.reason, 'MonitorsUnreachable');
    t.match(unreachable[0]?.message, silentMonitor);
    t.match(unreachable[0]?.message, 'cluster "silent"');
  },
);

t.test('many requests to the silent cluster do not slow down another one', async (t) => {
  const waiting = Promise.all(
    Array.from({ length: 60 }, async (_, i) =>
      refusal(impatient.create(`x-${i}`, { parameters: { clusterID: 'silent' } })),
    ),
  );
  await otherClusterIsFast(t, 20);
  const life = site.life(t);
  const { id } = await life.create({
    parameters: { clusterID: 'default', pool: site.pool },
    requiredBytes: 32n << 20n,
  });
  const attachMs = await timed(life.attach(id));
  t.ok(attachMs < 8_000, `staging and publishing on the other cluster took ${Math.round(attachMs)} ms`);
  for (const { code, message } of await waiting) t.equal(code, 'UNAVAILABLE', message);
});

t.test('node RPCs that need no cluster, and Probe, answer as always', async (t) => {
  await impatient.unpublish(idThere, site.path('target'));
  await impatient.unstage(idThere, site.path('stage'));
  t.equal((await refusal(impatient.stats(idThere, site.path('target')))).code, 'NOT_FOUND');
});

t.test('SIGTERM ends the driver while calls to the silent cluster hang', async (t) => {
  const hanging = refusal(impatient.create('y', { parameters: { clusterID: 'silent' } }));
  const tookMs = await timed(site.restart('SIGTERM'));
  t.ok(tookMs < 20_000, `it took ${Math.round(tookMs)} ms`);
  await hanging;
  await otherClusterIsFast(t, 3);
});

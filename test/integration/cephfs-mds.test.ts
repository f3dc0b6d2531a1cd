import t, { type Test } from 'tap';
import { startCluster } from '../harness/cluster.js';
import { stopProcess } from '../harness/stop-process.js';
import { asDirectory, openGroup } from './group.js';
import { eventually } from './images.js';
import { outcomeOf, refusal } from './outcome.js';

t.setTimeout(180_000);

// Daemons are stopped here: on a cluster of its own.
const cluster = await startCluster();
const { site, group } = await openGroup(t, { cluster });
const deadlineMs = 6_000;
const image = { parameters: { pool: site.pool }, requiredBytes: 16n << 20n };

async function whileMdsIsSilent(work: () => Promise<void>): Promise<void> {
  const pid = await cluster.pidOf('mds');
  await stopProcess(pid);
  try {
    await work();
  } finally {
    process.kill(pid, 'SIGCONT');
  }
}

async function timed(work: Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work;
  return Math.round(performance.now() - startMs);
}

for (const when of ['that has answered before', 'that was never reached']) {
  t.test(`while an MDS ${when} is silent, directories are UNAVAILABLE in time and images as ever`, async (t) => {
    const there = await site.rpc.create('there', asDirectory);
    const other = await site.rpc.create('other', asDirectory);
    if (when === 'that was never reached') await site.restart('SIGKILL');
    const life = site.life(t);
    await life.create({ ...image, name: 'warm' });
    const impatient = site.rpc.within(deadlineMs);
    await whileMdsIsSilent(async () => {
      const works = {
        CreateVolume: impatient.create('silent', asDirectory),
        DeleteVolume: impatient.delete(there.id),
        ControllerExpandVolume: impatient.expand(other.id, 1n << 30n),
        GetCapacity: impatient.capacity({ backend: 'cephfs' }),
      };
      const many = Promise.all(
        Array.from({ length: 40 }, async (_, i) => refusal(impatient.create(`many-${i}`, asDirectory))),
      );
      const outcomes = Object.entries(works).map(async ([rpc, work]) => ({ rpc, ...(await refusal(work)) }));
      await imagesAreFast(t);
      for (const { rpc, code, message } of await Promise.all(outcomes)) {
        t.equal(code, 'UNAVAILABLE', `${rpc}: ${message}`);
        t.match(message, /MDS of file system "cephfs".*ceph fs status/, rpc);
      }
      for (const { code, message } of await many) t.equal(code, 'UNAVAILABLE', message);
    });
    await life.rpc.create('warm', image);
    const worksAgain = async () => (await outcomeOf(site.rpc.create('silent', asDirectory))).code === 'OK';
    t.ok(await eventually(worksAgain, 60_000), 'it works again');
    for (const name of ['silent', 'there', 'other', ...Array.from({ length: 40 }, (_, i) => `many-${i}`)])
      await site.rpc.delete((await site.rpc.create(name, asDirectory)).id);
    t.same(await group.names(), []);
  });
}

async function imagesAreFast(t: Test): Promise<void> {
  const life = site.life(t);
  const times: number[] = [];
  for (let i = 0; i < 10; i++) times.push(await timed(life.create(image)));
  const slowest = Math.max(...times);
  t.ok(slowest < 1_500, `the slowest of ${times.length} images took ${slowest} ms`);
}

import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { mountCapability } from '../../harness/requests.js';
import { eventually } from '../../integration/images.js';
import { outcomeOf } from '../../integration/outcome.js';
import { Site } from '../../integration/site.js';
import type { VolumeLife } from '../../integration/volume-life.js';
import { askHost, hostFacts } from '../exchange.js';
import { digestPastCache, Writer } from '../writer.js';

/** The whole cluster stops answering for a minute, under volumes that are being written to. */
const outageMs = 60_000;
const deadlineMs = 20_000;
const backWithinMs = 90_000;

const site = await Site.open(t);
const image = { backend: 'rbd', clusterID: 'default', pool: site.pool };
const directory = { backend: 'cephfs', clusterID: 'default', fsName: site.cluster.fsName };
const shared = mountCapability('MULTI_NODE_MULTI_WRITER', '');

const kinds = {
  krbd: { parameters: { ...image, mounter: 'krbd' }, capability: mountCapability() },
  'rbd-nbd': { parameters: { ...image, mounter: 'nbd' }, capability: mountCapability() },
  'kernel CephFS': { parameters: { ...directory, mounter: 'kernel' }, capability: shared },
};
type Kind = (typeof kinds)[keyof typeof kinds];

/** A volume that is used throughout, and two that are there to be asked for: a volume does one thing at a time. */
interface Used {
  readonly name: string;
  readonly kind: Kind;
  readonly id: string;
  readonly context: Readonly<Record<string, string>>;
  readonly stagingPath: string;
  readonly file: string;
  readonly writer: Writer;
  readonly idle: string;
  readonly idlePath: string;
  readonly unused: string;
}

async function use(life: VolumeLife, name: string, kind: Kind): Promise<Used> {
  const { parameters, capability } = kind;
  const asked = { parameters, capabilities: [capability], requiredBytes: 1n << 30n };
  const { id, context } = await life.create(asked);
  const { stagingPath, targetPath } = await life.attach(id, { capability, context });
  const idle = await life.create(asked);
  const idlePath = site.path('idle');
  await mkdir(idlePath);
  const unused = await life.create(asked);
  const file = join(targetPath, 'data');
  return {
    name,
    kind,
    id,
    context,
    stagingPath,
    file,
    writer: await Writer.start(file),
    idle: idle.id,
    idlePath,
    unused: unused.id,
  };
}

/** What an orchestrator may ask meanwhile, and asks again afterwards. */
function questions(life: VolumeLife, used: Used): Readonly<Record<string, () => Promise<unknown>>> {
  const { kind, context, idle, idlePath, unused, id, file } = used;
  const { parameters, capability } = kind;
  const rpc = life.rpc.within(deadlineMs);
  const asked = { parameters, capabilities: [capability], requiredBytes: 1n << 30n };
  return {
    CreateVolume: async () => {
      life.owns((await rpc.create(`during the outage of ${used.name}`, asked)).id);
    },
    CreateSnapshot: async () => rpc.deleteSnapshot((await rpc.snapshot(`of ${used.name} in the outage`, id)).id),
    ControllerExpandVolume: async () => rpc.expand(unused, 2n << 30n),
    NodeStageVolume: async () => rpc.stage(idle, idlePath, { capability, context }),
    // A file system on a device answers from memory.
    ...(parameters.backend === 'cephfs' ? { NodeGetVolumeStats: async () => rpc.stats(id, dirname(file)) } : {}),
  };
}

const { ownsCluster } = await hostFacts();
const skip = ownsCluster ? false : "the cluster isn't the tests' own: its daemons are not stopped";

t.test(
  'volumes in use survive a minute without the cluster, and requests are answered meanwhile',
  { skip },
  async (t) => {
    const life = site.life(t);
    const all: Used[] = [];
    for (const [name, kind] of Object.entries(kinds)) all.push(await use(life, name, kind));
    t.teardown(async () => askHost('thaw'));

    await askHost('freeze');
    const thawed = sleep(outageMs).then(async () => askHost('thaw'));
    const before = all.map(({ writer }) => writer.blocks);
    await Promise.all(all.map(async (used) => refusedInTime(t, life, used)));
    await thawed;

    for (const [i, { name, writer }] of all.entries()) {
      const goesOn = async () => Promise.resolve(writer.blocks > (before[i] ?? 0) + 3);
      t.ok(await eventually(goesOn, backWithinMs), `${name}: writes go on after the outage`);
    }
    for (const used of all) await isWhole(t, life, used);
  },
);

async function refusedInTime(t: Test, life: VolumeLife, used: Used): Promise<void> {
  const asked = Object.entries(questions(life, used)).map(async ([rpc, ask]) => {
    // In its time: otherwise the client would have given up, with DEADLINE_EXCEEDED.
    const { code, message } = await outcomeOf(ask());
    t.equal(code, 'UNAVAILABLE', `${used.name}: ${rpc} (${message})`);
    t.match(message, /no answer|hung|answer this node/, `${used.name}: ${rpc} says why`);
  });
  await Promise.all(asked);
}

/** What was refused is done now, what was written is there: by this mount, past its cache, and by the next one. */
async function isWhole(t: Test, life: VolumeLife, used: Used): Promise<void> {
  for (const [rpc, ask] of Object.entries(questions(life, used))) {
    const isDone = async () => (await outcomeOf(ask())).code === 'OK';
    t.ok(await eventually(isDone, backWithinMs), `${used.name}: ${rpc} is answered with OK again`);
  }
  await life.rpc.unstage(used.idle, used.idlePath);
  const written = await used.writer.stop();
  t.equal(await digestPastCache(used.file), written, `${used.name}: what was written is there`);
  const { kind, id, context, stagingPath, file } = used;
  await life.detach(id, { stagingPath, targetPath: dirname(file) });
  const again = await life.attach(id, { capability: kind.capability, context });
  t.equal(await digestPastCache(join(again.targetPath, 'data')), written, `${used.name}: the next mount has it too`);
}

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { textAt } from '../cluster/kinds.js';
import { until } from '../cluster/until.js';
import type { StorageClassName } from '../objects.js';
import { volumePath } from '../workload.js';
import { deleteEverything, objectOf, type Scenario, type ScenarioContext } from './scenario.js';

const claims = 50;
const someBoundMs = 120_000;
/** Kubelet tries again after 0.5 s, 1 s, 2 s, ...: time enough to have tried. */
const awayMs = 5_000;

export const faults: readonly Scenario[] = [
  {
    title: `faults: the controller is killed while ${claims} claims are made: ${claims} volumes, and no more`,
    run: killedController,
  },
  {
    title: 'faults: a pod that is deleted while the node plugin is away goes when it is back',
    run: async ({ work, api, cuttle }) => {
      await work.claim('away', 'rbd');
      await work.startPod('deleted-meanwhile', 'away', 'sleep 3600');
      await work.running('deleted-meanwhile');
      await cuttle.stopNode();
      try {
        await api.delete('Pod', 'deleted-meanwhile');
        await sleep(awayMs);
        assert.ok(await api.find('Pod', 'deleted-meanwhile'), 'the pod has gone without its volume being unpublished');
      } finally {
        await cuttle.startNode();
      }
      await work.gone('Pod', 'deleted-meanwhile');
    },
  },
  {
    title: 'faults: a pod goes on writing to an image while the node plugin is replaced',
    run: async (context) => replacedUnder(context, 'rbd'),
  },
  {
    title: 'faults: a pod goes on writing to a directory while the node plugin is replaced',
    run: async (context) => replacedUnder(context, 'cephfs'),
  },
  {
    title: 'faults: when all of it is deleted, nothing is left',
    run: deleteEverything,
  },
];

async function killedController({ work, ceph, cuttle, signal }: ScenarioContext): Promise<void> {
  const names = Array.from({ length: claims }, (_, index) => `many-${index}`);
  const before = await ceph.images();
  await Promise.all(names.map(async (name) => work.askFor(name, 'rbd')));
  const some = async () => ((await ceph.images()).length >= before.length + 5 ? true : undefined);
  await until('image of the first claims', some, { withinMs: someBoundMs, signal });
  const made = (await ceph.images()).length - before.length;
  assert.ok(made < claims, `the controller was to be killed in the middle, and all ${made} images were there`);
  await cuttle.killController();
  const volumes = await Promise.all(names.map(async (name) => work.bound(name)));
  const images = (await ceph.images()).filter((image) => !before.includes(image));
  assert.deepEqual(images.sort(), volumes.map(objectOf).sort());
  assert.equal(images.length, claims);
}

async function replacedUnder({ work, api, cuttle }: ScenarioContext, kind: StorageClassName): Promise<void> {
  const [claim, writer] = [`replaced-${kind}`, `writes-on-${kind}`];
  const lines = `${volumePath}/lines`;
  await work.claim(claim, kind, { shared: kind === 'cephfs' });
  const write = `i=0; until [ -e ${volumePath}/stop ]; do i=$((i + 1)); echo $i >>${lines}; sync; usleep 100000; done`;
  await work.startPod(writer, claim, `${write}; awk '$1 != NR { exit 1 }' ${lines}; echo $i >"$said"`);
  await work.running(writer);
  await cuttle.stopNode();
  await sleep(awayMs);
  await cuttle.startNode();
  const count = Number(await work.run(`counts-${kind}`, claim, `wc -l <${lines} >"$said"`));
  assert.equal(textAt(await api.get('Pod', writer), 'status', 'phase'), 'Running');
  await work.run(`stops-${kind}`, claim, `touch ${volumePath}/stop`);
  assert.ok(Number(await work.finished(writer)) > count, 'nothing was written after the node plugin had been replaced');
}

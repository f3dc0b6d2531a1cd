import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { textAt } from '../cluster/kinds.js';
import { until } from '../cluster/until.js';
import type { StorageClassName } from '../chart-values.js';
import type { Installation } from '../installation.js';
import { volumePath } from '../workload.js';
import { deleteEverything, objectOf, type Scenario, type ScenarioContext } from './scenario.js';

const claims = 50;
const someBoundMs = 120_000;
/** Kubelet tries again after 0.5 s, 1 s, 2 s, ...: time enough to have tried. */
const awayMs = 5_000;
/** A pod that has begun to write has written some lines. */
const beforeMs = 2_000;

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
  ...(['rbd', 'rbd-encrypted', 'cephfs'] as const).map((kind) => ({
    title: `faults: a pod goes on writing to a volume of the class ${kind} while the node plugin is replaced`,
    run: async (context: ScenarioContext) => writesOn(context, kind, 'replaceNode'),
  })),
  ...(['rbd', 'cephfs'] as const).map((kind) => ({
    title: `faults: a pod goes on writing to a volume of the class ${kind} while the node plugin is killed`,
    run: async (context: ScenarioContext) => writesOn(context, kind, 'killNode'),
  })),
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

type Event = Extract<keyof Installation, 'replaceNode' | 'killNode'>;

/** Between two lines of a writer lies its own pause of 0.1 s and what the volume takes to sync. */
async function writesOn({ work, api, cuttle }: ScenarioContext, kind: StorageClassName, event: Event): Promise<string> {
  const name = `${event.toLowerCase()}-${kind}`;
  const lines = `${volumePath}/lines`;
  await work.claim(name, kind, { shared: kind === 'cephfs' });
  const line = `echo $i $(cut -d ' ' -f 1 /proc/uptime) >>${lines}; sync -d ${lines}`;
  const write = `i=0; until [ -e ${volumePath}/stop ]; do i=$((i + 1)); ${line}; usleep 100000; done`;
  const check = `awk '$1 != NR { exit 1 } NR > 1 && $2 - last > most { most = $2 - last } { last = $2 } END { print most }'`;
  await work.startPod(`${name}-writer`, name, `${write}; ${check} ${lines} >"$said"`);
  await work.running(`${name}-writer`);
  await sleep(beforeMs);
  await cuttle[event]();
  // Read by another pod, which the plugin's successor has to serve.
  const count = Number(await work.run(`${name}-counter`, name, `wc -l <${lines} >"$said"`));
  assert.equal(textAt(await api.get('Pod', `${name}-writer`), 'status', 'phase'), 'Running');
  await sleep(beforeMs);
  assert.ok(
    Number(await work.run(`${name}-again`, name, `wc -l <${lines} >"$said"`)) > count,
    'nothing more was written',
  );
  await work.run(`${name}-stopper`, name, `touch ${volumePath}/stop`);
  const most = Number(await work.finished(`${name}-writer`));
  assert.ok(most > 0, 'the writer has not measured anything');
  return `no error, longest time between two writes ${most.toFixed(2)} s`;
}

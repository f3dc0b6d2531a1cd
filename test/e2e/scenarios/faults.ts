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

const kinds = ['rbd', 'cephfs'] as const;
type Kind = (typeof kinds)[number];

export const faults: readonly Scenario[] = [
  ...kinds.map((kind) => ({
    title: `faults: the controller is killed while ${claims} claims of the class ${kind} are made: ${claims} volumes, and no more`,
    run: async (context: ScenarioContext) => killedController(context, kind),
  })),
  ...kinds.map((kind) => ({
    title: `faults: a pod with a volume of the class ${kind} that is deleted while the node plugin is away goes when it is back`,
    run: async (context: ScenarioContext) => deletedMeanwhile(context, kind),
  })),
  ...(['rbd', 'rbd-encrypted', 'cephfs'] as const).map((kind) => ({
    title: `faults: a pod goes on writing to a volume of the class ${kind} while the node plugin is replaced`,
    run: async (context: ScenarioContext) => writesOn(context, kind, 'replaceNode'),
  })),
  ...kinds.map((kind) => ({
    title: `faults: a pod goes on writing to a volume of the class ${kind} while the node plugin is killed`,
    run: async (context: ScenarioContext) => writesOn(context, kind, 'killNode'),
  })),
  {
    title: 'faults: when all of it is deleted, nothing is left',
    run: deleteEverything,
  },
];

async function killedController({ work, ceph, cuttle, signal }: ScenarioContext, kind: Kind): Promise<void> {
  const list = async () => (kind === 'rbd' ? ceph.images() : ceph.directories());
  const names = Array.from({ length: claims }, (_, index) => `many-${kind}-${index}`);
  const before = await list();
  await Promise.all(names.map(async (name) => work.askFor(name, kind, { shared: kind === 'cephfs' })));
  const some = async () => ((await list()).length >= before.length + 5 ? true : undefined);
  await until('volume of the first claims', some, { withinMs: someBoundMs, signal });
  const made = (await list()).length - before.length;
  assert.ok(made < claims, `the controller was to be killed in the middle, and all ${made} volumes were there`);
  await cuttle.killController();
  const volumes = await Promise.all(names.map(async (name) => work.bound(name)));
  const found = (await list()).filter((name) => !before.includes(name));
  assert.deepEqual(found.sort(), volumes.map(objectOf).sort());
  assert.equal(found.length, claims);
}

async function deletedMeanwhile({ work, api, cuttle, signal }: ScenarioContext, kind: Kind): Promise<void> {
  const [claim, pod] = [`away-${kind}`, `deleted-meanwhile-${kind}`];
  await work.claim(claim, kind, { shared: kind === 'cephfs' });
  await work.startPod(pod, claim, 'sleep 3600');
  await work.running(pod);
  await cuttle.stopNode();
  try {
    await api.delete('Pod', pod);
    await sleep(awayMs);
    assert.ok(await api.find('Pod', pod), 'the pod has gone without its volume being unpublished');
  } finally {
    await cuttle.startNode();
  }
  await work.gone('Pod', pod);
  const isUnstaged = async () => ((await cuttle.staged()).length === 0 ? true : undefined);
  await until('end of the staged volume', isUnstaged, { withinMs: someBoundMs, signal });
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

import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { useCluster } from '../../harness/cluster.js';
import { outcomeOf, type Refusal } from '../../integration/outcome.js';
import { Rpc } from '../../integration/rpc.js';
import { digestPastCache } from '../writer.js';
import { blockBytes, dataOf, factsFile, type Kept, kinds, nodeDriver, nodeId, pathsOf, pool } from './node.js';

/** The node is back: its volumes are staged and published again, or are taken away without having been. */
/** The dead node's clients are waited for by their OSDs (30 s) and by the MDS (60 s). */
const backWithinMs = 150_000;
const patienceMs = 120_000;

const cluster = await useCluster();
const facts = JSON.parse(await readFile(factsFile(), 'utf8')) as Record<string, Kept>;
const driver = await nodeDriver(cluster);
t.teardown(async () => {
  await driver.stop();
  await cluster.deletePool(pool);
});
const rpc = new Rpc(() => driver, patienceMs);
// All at once, as kubelet does it: the waits for the dead clients are one.
t.jobs = Object.keys(kinds).length;

for (const [name, { capability, isTakenAway }] of Object.entries(kinds)) {
  t.test(
    `${name} ${isTakenAway ? 'is taken away where it no longer is, and ' : ''}is staged and published again with its data`,
    async (t) => {
      const { id, context, publishContext, digest } = known(name);
      const { stagingPath, targetPath } = pathsOf(name);
      for (const time of isTakenAway ? ['', ', and again'] : []) {
        t.equal((await outcomeOf(rpc.unpublish(id, targetPath))).code, 'OK', `unpublish${time}`);
        t.equal((await outcomeOf(rpc.unstage(id, stagingPath))).code, 'OK', `unstage${time}`);
      }
      const options = { capability, context, publishContext };
      await repeated(t, 'stage', async () => rpc.stage(id, stagingPath, options));
      await repeated(t, 'publish', async () => rpc.publish(id, stagingPath, targetPath, options));
      t.equal(await digestPastCache(dataOf(name), blockBytes), digest, 'the data is what it was');
      if (capability.has_mount) await writeFile(join(dirname(dataOf(name)), 'after'), 'written', { flush: true });
      t.notMatch(await driver.log(), 'formatted a blank image');
      await rpc.unpublish(id, targetPath);
      await rpc.unstage(id, stagingPath);
      await rpc.detach(id, nodeId);
      // The dead client's watch may still be there.
      await repeated(t, 'delete', async () => rpc.delete(id), ['UNAVAILABLE', 'ABORTED', 'FAILED_PRECONDITION']);
    },
  );
}

function known(name: string): Kept {
  const kept = facts[name];
  if (kept === undefined) throw new Error(`${name} was not in use before the reset`);
  return kept;
}

/** As an orchestrator repeats what may succeed later; another answer than these fails the test. */
async function repeated(
  t: Test,
  what: string,
  ask: () => Promise<unknown>,
  passing: readonly string[] = ['UNAVAILABLE', 'ABORTED'],
): Promise<void> {
  const began = Date.now();
  for (;;) {
    const outcome: Refusal = await outcomeOf(ask());
    const seconds = ((Date.now() - began) / 1_000).toFixed(0);
    if (outcome.code === 'OK') {
      t.pass(`${what} is done after ${seconds} s`);
      return;
    }
    t.ok(passing.includes(outcome.code), `${what} is to be repeated (${outcome.code}: ${outcome.message})`);
    if (Date.now() - began > backWithinMs)
      throw new Error(`${what} is not done after ${seconds} s: ${outcome.message}`);
    await sleep(1_000);
  }
}

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { mib, openDevices, secrets } from '../../integration/encrypted.js';
import { Site } from '../../integration/site.js';

t.setTimeout(580_000);

const site = await Site.open(t);
/** Deriving keys takes long where a processor is emulated. */
const patientMs = 240_000;
const encrypted = { backend: 'rbd', clusterID: 'default', pool: site.pool, encrypted: 'true' };

t.test('kill -9 at any instant of a first stage: the same request again completes it', async (t) => {
  const life = site.life(t, undefined, patientMs);
  for (const mounter of ['krbd', 'nbd']) {
    for (const afterMs of [500, 4_000]) {
      const { id, context } = await life.create({ parameters: { ...encrypted, mounter }, requiredBytes: 32n * mib });
      const path = site.path('stage');
      const use = { context, secrets, path };
      const cutOff = life.stage(id, use).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      await site.restart('SIGKILL');
      await cutOff;
      await completed(async () => life.stage(id, use));
      await writeFile(join(path, 'data'), 'kept', { flush: true });
      await life.unstage(id, path);
      t.same(openDevices(), [], `${mounter}, killed after ${afterMs} ms`);
      await life.stage(id, use);
      t.equal(await readFile(join(path, 'data'), 'utf8'), 'kept');
      await life.unstage(id, path);
    }
  }
});

/** What a killed driver's programs still hold is let go of when they end: the orchestrator repeats the request until then. */
async function completed(request: () => Promise<unknown>): Promise<void> {
  const end = Date.now() + patientMs;
  for (;;) {
    try {
      await request();
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }
}

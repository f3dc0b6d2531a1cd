import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import t from 'tap';
import { converge } from '../../ground/converge.js';
import { mib, openDevices, secrets } from '../../integration/encrypted.js';
import { Site } from '../../integration/site.js';

t.setTimeout(580_000);

const site = await Site.open(t);
/** Deriving keys takes long where a processor is emulated. */
const patientMs = 240_000;
/** What a killed driver's programs still hold is let go of when they end: the orchestrator repeats the request until then. */
const patience = {
  what: 'NodeStageVolume after a kill',
  withinMs: patientMs,
  also: [status.FAILED_PRECONDITION],
};
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
      await converge(async () => life.stage(id, use), patience);
      await writeFile(join(path, 'data'), 'kept', { flush: true });
      await life.unstage(id, path);
      t.same(openDevices(), [], `${mounter}, killed after ${afterMs} ms`);
      await life.stage(id, use);
      t.equal(await readFile(join(path, 'data'), 'utf8'), 'kept');
      await life.unstage(id, path);
    }
  }
});

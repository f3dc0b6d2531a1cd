import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import t from 'tap';
import { converge } from '../ground/converge.js';
import { mib, secrets } from './encrypted.js';
import { imageDaemons, Site } from './site.js';

t.setTimeout(280_000);

const site = await Site.open(t);
const create = { parameters: { pool: site.pool, encrypted: 'true' }, requiredBytes: 32n * mib };
/** What a killed driver's programs still hold is free when they have ended, and its lock when Ceph has forgotten it. */
const patience = {
  what: 'NodeStageVolume after a kill',
  withinMs: 60_000,
  also: [status.FAILED_PRECONDITION],
};

/** From looking at the blank image, through luksFormat and its opening by librbd, to mkfs and mount. */
for (const afterMs of [100, 400, 800, 1_200, 1_800, 2_600, 4_000]) {
  t.test(`a first stage that is killed after ${afterMs} ms is completed by the same request again`, async (t) => {
    const life = site.life(t);
    const { id, context } = await life.create(create);
    const path = site.path('stage');
    const use = { context, secrets, path };
    const cutOff = life.stage(id, use).catch(() => undefined);
    await sleep(afterMs);
    await site.restart('SIGKILL');
    await cutOff;
    await converge(async () => life.stage(id, use), patience);
    t.equal((await imageDaemons(site.driver.runDir)).length, 1);
    await writeFile(join(path, 'data'), 'kept', { flush: true });
    await life.unstage(id, path);
    t.same(await imageDaemons(site.driver.runDir), []);
    await life.stage(id, use);
    t.equal(await readFile(join(path, 'data'), 'utf8'), 'kept', 'it was formatted for good');
    await life.unstage(id, path);
  });
}

t.test('a driver that was killed unstages what it has staged, and needs no passphrase for it', async (t) => {
  const life = site.life(t);
  const { id, context } = await life.create(create);
  const paths = await life.attach(id, { context, secrets });
  await writeFile(join(paths.targetPath, 'data'), 'kept', { flush: true });
  await site.restart('SIGKILL');
  await life.rpc.stage(id, paths.stagingPath, { context });
  t.equal(await readFile(join(paths.targetPath, 'data'), 'utf8'), 'kept');
  await life.detach(id, paths);
  t.same(await imageDaemons(site.driver.runDir), []);
});

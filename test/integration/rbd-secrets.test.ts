import { spawn } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { clusterYaml } from '../harness/driver.js';
import { outcomeOf } from './outcome.js';
import { formsOf, sampler } from './secret-search.js';
import { Site } from './site.js';

t.setTimeout(120_000);

const site = await Site.open(t, {
  logLevel: 'trace',
  configFor: (cluster) => clusterYaml(cluster, '    user: nobody-at-all\n'),
});
const { cluster, pool } = site;
const user = `it-secret-${pool}`;
const userKey = await cluster.createUser(user, { mon: 'profile rbd', osd: `profile rbd pool=${pool}` });
t.teardown(async () => cluster.removeUser(user));

t.test('the sampler finds a key in arguments, in an environment and in a file, in each of its forms', async (t) => {
  const planted = Buffer.from(`planted ${pool} key`).toString('base64');
  for (const form of formsOf(planted)) {
    const text = form.toString('latin1');
    const watch = sampler(site.directory, [form]);
    const process = spawn('sleep', ['5'], {
      env: { PLANTED: text },
      argv0: `sleep ${text}`,
    });
    const file = join(site.driver.runDir, 'planted');
    await writeFile(file, form);
    await new Promise((resolve) => setTimeout(resolve, 250));
    const { hits } = await watch.stop();
    process.kill();
    await rm(file);
    t.ok(hits.includes(`/proc/${process.pid ?? 0}/cmdline`), 'arguments');
    t.ok(hits.includes(`/proc/${process.pid ?? 0}/environ`), 'environment');
    t.ok(hits.includes(file), 'file');
  }
});

t.test("in a volume's whole life the key is in no argument, environment, file, log line or error", async (t) => {
  const secrets = { userID: user, userKey };
  const life = site.life(t);
  const watch = sampler(site.directory, formsOf(userKey));
  const messages: string[] = [];
  const note = async (work: Promise<unknown>) => messages.push((await outcomeOf(work)).message);
  for (let round = 0; round < 3; round++) {
    const create = { name: `secret-${round}`, parameters: { pool }, requiredBytes: 32n << 20n, secrets };
    const volume = await life.create(create);
    const paths = await life.attach(volume.id, { secrets });
    await life.rpc.stats(volume.id, paths.targetPath);
    await note(life.rpc.create(create.name, { ...create, requiredBytes: 64n << 20n }));
    await note(life.rpc.create('elsewhere', { ...create, parameters: { pool: 'rbd' } }));
    await note(life.rpc.create('nonsense', { ...create, parameters: { pool, key: userKey } }));
    await note(life.rpc.delete(volume.id, secrets));
    await note(
      life.rpc.stage(volume.id, join(paths.stagingPath, 'deeper'), { secrets: { ...secrets, userID: 'it-nobody' } }),
    );
    await note(life.rpc.stage('rbd:default:none::x', site.path('stage'), { secrets }));
    await note(life.rpc.stage(volume.id, site.path('stage'), { secrets: { userID: user, userKey: `${userKey}=` } }));
    await note(life.rpc.stage(volume.id, site.path('stage'), { secrets: { userKey } }));
    await life.detach(volume.id, paths);
    await life.rpc.delete(volume.id, secrets);
  }
  const { hits, rounds } = await watch.stop();
  t.same(hits, []);
  t.ok(rounds > 10, `it looked ${rounds} times`);
  const log = await readFile(site.driver.logFile);
  for (const form of formsOf(userKey)) {
    t.notOk(log.includes(form), 'the log at level trace');
    for (const message of messages) t.notOk(Buffer.from(message).includes(form), message.slice(0, 60));
  }
  t.ok(log.includes('NodeStageVolume'), 'the log has been read');
  t.ok(messages.filter((message) => message !== '').length >= 15, 'the errors have been read');
});

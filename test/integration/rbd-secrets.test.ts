import { spawn } from 'node:child_process';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { clusterYaml } from '../harness/driver.js';
import { outcomeOf } from './rpc.js';
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

/** The key as it is, and as it might be written after somebody has decoded or encoded it. */
function formsOf(key: string): Buffer[] {
  const bytes = Buffer.from(key, 'base64');
  const texts = [key, bytes.toString('hex'), Buffer.from(key).toString('hex'), Buffer.from(key).toString('base64')];
  return [...texts.map((text) => Buffer.from(text)), bytes];
}

/** Every process's arguments and environment, and every file of the driver's. @returns where one of the forms is. */
async function search(needles: readonly Buffer[]): Promise<string[]> {
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const places = [
    ...processes.flatMap((pid) => [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`]),
    ...(await filesBelow(site.directory)),
    ...(await filesBelow('/dev/shm')),
  ];
  const hits = await Promise.all(
    places.map(async (path) => {
      const content = await readFile(path).catch(() => Buffer.alloc(0));
      return needles.some((needle) => content.includes(needle)) ? [path] : [];
    }),
  );
  return hits.flat();
}

/** Regular files, those on mounted volumes left out. */
async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile() && entry.name !== 'image')
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Searches over and over. stop() @returns every place where something was found, and how often it looked. */
function sampler(needles: readonly Buffer[]): { stop: () => Promise<{ hits: string[]; rounds: number }> } {
  const hits = new Set<string>();
  let rounds = 0;
  let stopped = false;
  const running = (async () => {
    while (!stopped) {
      for (const hit of await search(needles)) hits.add(hit);
      rounds += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  return {
    stop: async () => {
      stopped = true;
      await running;
      return { hits: [...hits], rounds };
    },
  };
}

t.test('the sampler finds a key in arguments, in an environment and in a file, in each of its forms', async (t) => {
  const planted = Buffer.from(`planted ${pool} key`).toString('base64');
  for (const form of formsOf(planted)) {
    const text = form.toString('latin1');
    const watch = sampler([form]);
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
  const watch = sampler(formsOf(userKey));
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

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { clusterYaml } from '../harness/driver.js';
import { mountCapability } from '../harness/requests.js';
import { capsFor, Directories } from './directories.js';
import { outcomeOf } from './outcome.js';
import { formsOf, sampler } from './secret-search.js';
import { Site } from './site.js';

t.setTimeout(120_000);

const site = await Site.open(t, {
  logLevel: 'trace',
  configFor: (cluster) => clusterYaml(cluster, '    user: nobody-at-all\n'),
});
const directories = await Directories.open(t, site);
const id = await directories.make('secret', { maxBytes: 16 << 20 });
const other = await directories.make('elsewhere');
// What is searched is this machine, not the file system.
directories.close();
const user = `it-secret-${site.pool}`;
const userKey = await site.cluster.createUser(user, capsFor(`${directories.top}/secret`));
t.teardown(async () => site.cluster.removeUser(user));
const many = { capability: mountCapability('MULTI_NODE_MULTI_WRITER', '') };

/** Sockets, logs and keyrings that Ceph's programs name after their user. */
async function litter(): Promise<string[]> {
  const names = await Promise.all(
    ['/run/ceph', '/var/log/ceph', '/etc/ceph'].map(async (directory) => readdir(directory).catch(() => [])),
  );
  return names.flat().filter((name) => name.includes(user));
}

t.test("in a volume's whole life the key is in no argument, environment, file, log line or error", async (t) => {
  const use = { ...many, secrets: { userID: user, userKey } };
  const life = site.life(t);
  const watch = sampler(site.directory, formsOf(userKey));
  const messages: string[] = [];
  const note = async (work: Promise<unknown>) => messages.push((await outcomeOf(work)).message);
  for (let round = 0; round < 3; round++) {
    const paths = await life.attach(id, use);
    await life.rpc.stats(id, paths.targetPath);
    t.same(await litter(), []);
    await note(life.rpc.stage(other, site.path('stage'), use));
    await note(life.rpc.stage(directories.id('missing'), site.path('stage'), use));
    await note(life.rpc.stage(id, join(paths.stagingPath, '..'), use));
    await note(life.rpc.stage(id, site.path('stage'), { ...use, context: { fuseMountOptions: `secret=${userKey}` } }));
    await note(
      life.rpc.stage(id, site.path('stage'), { ...use, context: { kernelMountOptions: `x secret=${userKey}` } }),
    );
    await note(life.rpc.stage(id, site.path('stage'), { ...use, secrets: { userID: 'it-nobody', userKey } }));
    await note(life.rpc.stage(id, site.path('stage'), { ...use, secrets: { userID: user, userKey: `${userKey}=` } }));
    await note(life.rpc.publish(id, site.path('stage'), site.path('target'), use));
    await life.detach(id, paths);
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
  t.ok(messages.filter((message) => message !== '').length >= 20, 'the errors have been read');
  t.same(await litter(), []);
});

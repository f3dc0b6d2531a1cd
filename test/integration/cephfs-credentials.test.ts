import { execFileSync } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { clusterYaml } from '../harness/driver.js';
import { mountCapability } from '../harness/requests.js';
import { capsFor, Directories, fsName } from './directories.js';
import { mountsBelow } from './leftovers.js';
import { refusal } from './outcome.js';
import { Site } from './site.js';

t.setTimeout(180_000);

// The driver's own user may do nothing: what works here works by the request's Secret.
const site = await Site.open(t, { configFor: (cluster) => clusterYaml(cluster, '    user: nobody-at-all\n') });
const { cluster } = site;
const directories = await Directories.open(t, site);
const { top } = directories;
const reader = { capability: mountCapability('MULTI_NODE_READER_ONLY', '') };

/** A user for one test, and the Secret that it gets. */
async function userWith(t: Test, name: string, caps: Record<string, string>) {
  const user = `${name}-${site.pool}`;
  const userKey = await cluster.createUser(user, caps);
  t.teardown(async () => cluster.removeUser(user));
  return { user, secrets: { userID: user, userKey } };
}

t.test('a key that is restricted to the directory mounts it, quota included, without the flag p', async (t) => {
  const life = site.life(t);
  const id = await directories.make('own', { maxBytes: 16 << 20 });
  const { secrets } = await userWith(t, 'own', capsFor(`${top}/own`));
  const { targetPath } = await life.attach(id, { secrets });
  await writeFile(join(targetPath, 'file'), 'content');
  t.equal((await life.rpc.stats(id, targetPath))[0]?.total, BigInt(16 << 20));
});

t.test('a key for the directory above mounts it too', async (t) => {
  const id = await directories.make('below/deeper');
  const { secrets } = await userWith(t, 'above', capsFor(`${top}/below`));
  const { targetPath } = await site.life(t).attach(id, { secrets });
  await writeFile(join(targetPath, 'file'), 'content');
});

t.test('a key for another directory is refused, in a sentence with the command that helps', async (t) => {
  await directories.make('theirs');
  const id = await directories.make('mine');
  const { user, secrets } = await userWith(t, 'theirs', capsFor(`${top}/theirs`));
  const { code, message } = await refusal(site.life(t).stage(id, { secrets }));
  t.equal(code, 'PERMISSION_DENIED', message);
  t.match(message, `client.${user} may not mount directory "${top}/mine"`);
  t.match(message, `ceph auth caps client.${user} mon 'allow r fsname=${fsName}' mds 'allow rw fsname=${fsName} path=`);
});

for (const [what, osd, verb] of [
  ['none', undefined, 'read from'],
  ['those of another file system', 'allow rw tag cephfs data=other', 'read from'],
  ['reading ones', `allow r tag cephfs data=${fsName}`, 'write to'],
] as const) {
  t.test(`OSD capabilities: ${what} do not do, which is said at once and leaves nothing mounted`, async (t) => {
    const id = await directories.make('no-osd');
    const caps = { mon: 'allow r', mds: 'allow rw', ...(osd === undefined ? {} : { osd }) };
    const { user, secrets } = await userWith(t, 'osd', caps);
    const { code, message } = await refusal(site.life(t).stage(id, { secrets }));
    t.equal(code, 'PERMISSION_DENIED', message);
    t.match(message, `client.${user} may not ${verb} pool "cephfs_data"`);
    t.match(message, `osd 'allow rw tag cephfs data=${fsName}'`);
    t.strictSame(
      (await mountsBelow(site.directory)).filter((path) => path.includes('/stage')),
      [],
    );
  });
}

t.test('the command that the message names makes the volume work', async (t) => {
  const id = await directories.make("advice at one o'clock/volume");
  const { secrets } = await userWith(t, 'advice', { mon: 'allow r', mds: 'allow rw' });
  const { message } = await refusal(site.life(t).stage(id, { secrets }));
  const command = /allow it by: ceph (auth caps .*) \(it replaces/.exec(message)?.[1] ?? '';
  const words = execFileSync('bash', ['-c', `printf '%s\\n' ${command}`], { encoding: 'utf8' });
  await cluster.ceph(words.trimEnd().split('\n'));
  const { targetPath } = await site.life(t).attach(id, { secrets });
  await writeFile(join(targetPath, 'file'), 'content');
});

t.test('a key that may only read stages for a reader', async (t) => {
  const life = site.life(t);
  const id = await directories.make('to-read');
  await directories.write(`${top}/to-read/file`, 'content');
  const caps = { mon: 'allow r', mds: 'allow r', osd: `allow r tag cephfs data=${fsName}` };
  const { secrets } = await userWith(t, 'reads', caps);
  const { targetPath } = await life.attach(id, { ...reader, secrets });
  t.strictSame(await readdir(targetPath), ['file']);
});

t.test("the access check asks for the directory's own pool", async (t) => {
  const pool = `${site.pool}-data`;
  await cluster.ceph(['osd', 'pool', 'create', pool, '8']);
  await cluster.ceph(['fs', 'add_data_pool', fsName, pool]);
  t.teardown(async () => {
    await cluster.ceph(['fs', 'rm_data_pool', fsName, pool]);
    await cluster.deletePool(pool);
  });
  const id = await directories.make('own-pool', { pool });
  const elsewhere = { mon: 'allow r', mds: 'allow rw', osd: 'allow rw pool=cephfs_data' };
  const { user, secrets } = await userWith(t, 'own-pool', elsewhere);
  const { message } = await refusal(site.life(t).stage(id, { secrets }));
  t.match(message, `client.${user} may not read from pool "${pool}"`);
});

t.test('nothing is left in the data pool by access checks', (t) => {
  const arguments_ = ['--conf', cluster.confPath, '--id', 'admin', '--pool', 'cephfs_data', 'ls'];
  const listed = execFileSync('rados', arguments_, { encoding: 'utf8' });
  t.match(listed, /^[0-9a-f]+\.00000000$/m, 'what was written is listed');
  t.notMatch(listed, /cuttle/);
  t.end();
});

t.test('a wrong key and an unknown user are UNAUTHENTICATED, and no daemon is started', async (t) => {
  const id = await directories.make('guarded');
  const { secrets } = await userWith(t, 'guarded', capsFor(`${top}/guarded`));
  const other = await userWith(t, 'other', capsFor(`${top}/other`));
  for (const wrong of [
    { userID: secrets.userID, userKey: other.secrets.userKey },
    { userID: 'it-nobody', userKey: secrets.userKey },
    {},
  ]) {
    t.equal((await refusal(site.life(t).stage(id, { secrets: wrong }))).code, 'UNAUTHENTICATED');
  }
});

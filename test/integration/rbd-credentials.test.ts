import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { documentedCaps } from '../harness/documented-users.js';
import { clusterYaml } from '../harness/driver.js';
import { refusal } from './outcome.js';
import { Site } from './site.js';

t.setTimeout(120_000);

// The cluster's own user may do nothing: whatever works here works by the secrets of the request.
const site = await Site.open(t, {
  configFor: (cluster) => clusterYaml({ confPath: cluster.confPath }, '    user: nobody-at-all\n'),
});
const { cluster, pool } = site;
const user = `it-restricted-${pool}`;
const userKey = await cluster.createUser(user, { ...documentedCaps('controller', 'RBD', { pool }) });
t.teardown(async () => cluster.removeUser(user));
const secrets = { userID: user, userKey };
const create = { parameters: { pool }, requiredBytes: 32n << 20n };
/** A key as Ceph makes them, that no user has. */
const strangerKey = Buffer.concat([
  Buffer.of(1, 0),
  Buffer.alloc(8, 7),
  Buffer.of(16, 0),
  Buffer.alloc(16, 9),
]).toString('base64');

t.test("a user of profile rbd for one pool gives a volume's whole life in that pool", async (t) => {
  const life = site.life(t);
  const volume = await life.create({ ...create, secrets });
  t.same(
    await life.rpc.create('x-again', { ...create, secrets }),
    await life.rpc.create('x-again', { ...create, secrets }),
  );
  await life.rpc.delete((await life.rpc.create('x-again', { ...create, secrets })).id, secrets);
  const paths = await life.attach(volume.id, { secrets });
  await writeFile(join(paths.targetPath, 'data'), 'mine');
  await life.detach(volume.id, paths);
  const again = await life.attach(volume.id, { secrets });
  t.equal(await readFile(join(again.targetPath, 'data'), 'utf8'), 'mine');
  await life.detach(volume.id, again);
  await life.rpc.delete(volume.id, secrets);
  t.equal((await refusal(life.rpc.stage(volume.id, site.path('stage'), { secrets }))).code, 'NOT_FOUND');
});

t.test('the same user gets a clear refusal in another pool', async (t) => {
  const life = site.life(t);
  const other = { ...create, parameters: { pool: 'rbd' }, secrets };
  const { code, message } = await refusal(life.create(other));
  t.equal(code, 'PERMISSION_DENIED');
  for (const part of [`client.${user}`, 'profile rbd', 'rbd/']) t.match(message, part);
  const staging = await refusal(life.stage('rbd:default:rbd::csi-vol-x', { secrets }));
  t.equal(staging.code, 'PERMISSION_DENIED');
});

t.test('a key that ends in a newline, as echo leaves it, works', async (t) => {
  const life = site.life(t);
  const withNewline = { userID: `${user}\n`, userKey: `${userKey}\n` };
  const { id } = await life.create({ ...create, secrets: withNewline });
  const path = await life.stage(id, { secrets: withNewline });
  await life.unstage(id, path);
  await life.rpc.delete(id, withNewline);
});

for (const [what, given, word] of [
  ['a wrong key', { userID: user, userKey: strangerKey }, /refuses client\./],
  ['a user that does not exist', { userID: 'it-nobody', userKey: strangerKey }, /refuses client\.it-nobody/],
  ["the cluster's own user without a key", undefined, /nobody-at-all/],
] as const) {
  t.test(`${what} is UNAUTHENTICATED in a sentence that names the user and not the key`, async (t) => {
    const life = site.life(t);
    const asked = given === undefined ? {} : { secrets: given };
    const works = [life.create({ ...create, ...asked }), life.stage(`rbd:default:${pool}::none`, asked)];
    for (const { code, message } of await Promise.all(works.map(refusal))) {
      t.equal(code, 'UNAUTHENTICATED');
      t.match(message, word);
      t.notOk(message.includes(strangerKey));
    }
  });
}

for (const [what, value] of [
  ['a pasted shell command', 'ceph auth get-key client.admin'],
  ['a key that was encoded twice', Buffer.from(userKey).toString('base64')],
  ['a whole keyring', `[client.${user}]\n\tkey = ${userKey}\n`],
  ['any other base64', Buffer.from('not a key at all').toString('base64')],
] as const) {
  t.test(`${what} as userKey is INVALID_ARGUMENT and not echoed`, async (t) => {
    const given = { userID: user, userKey: value };
    const works = [
      site.life(t).create({ ...create, secrets: given }),
      site.rpc.stage('rbd:default:rbd::x', site.path('stage'), { secrets: given }),
      site.rpc.delete('rbd:default:rbd::x', given),
    ];
    for (const { code, message } of await Promise.all(works.map(refusal))) {
      t.equal(code, 'INVALID_ARGUMENT');
      t.match(message, /userKey/);
      t.notOk(message.includes(value.trim()));
    }
  });
}

t.test('the right key after a wrong one works at once', async (t) => {
  const life = site.life(t);
  await refusal(life.create({ ...create, secrets: { userID: user, userKey: strangerKey } }));
  const { id } = await life.create({ ...create, secrets });
  await life.rpc.delete(id, secrets);
});

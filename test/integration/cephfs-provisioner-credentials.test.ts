import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { clusterYaml } from '../harness/driver.js';
import { asDirectory, asShared, groupYaml, openGroup, pathOf, provisionerCaps } from './group.js';
import { refusal } from './outcome.js';
import { Rpc } from './rpc.js';
import { secondDriver } from './site.js';

t.setTimeout(180_000);

// The driver's own user may do nothing: what works here works by the request's Secret.
const { site, group } = await openGroup(t, { extra: '    user: nobody-at-all\n', args: ['--backends', 'cephfs'] });
const { cluster } = site;

interface User {
  readonly name: string;
  readonly secrets: Readonly<Record<string, string>>;
}

async function userWith(name: string, caps: Record<string, string>): Promise<User> {
  const user = `${name}-${site.pool}`;
  const userKey = await cluster.createUser(user, caps);
  t.teardown(async () => cluster.removeUser(user));
  return { name: user, secrets: { userID: user, userKey } };
}

const [provisioner, withoutP, elsewhere, withoutMds, reader] = await Promise.all([
  userWith('provisioner', provisionerCaps(group.path)),
  userWith('without-p', provisionerCaps(group.path, 'rw')),
  userWith('elsewhere', provisionerCaps('/somewhere-else')),
  userWith('without-mds', { mon: 'allow r', osd: 'allow rw tag cephfs data=cephfs' }),
  userWith('reader', provisionerCaps(group.path, 'r')),
]);
/** A key as Ceph makes them, that no user has. */
const strangerKey = Buffer.concat([
  Buffer.of(1, 0),
  Buffer.alloc(8, 7),
  Buffer.of(16, 0),
  Buffer.alloc(16, 9),
]).toString('base64');

async function changesNothing(t: Test, work: () => Promise<void>): Promise<void> {
  const before = [await group.names(), await group.trash()];
  await work();
  t.strictSame([await group.names(), await group.trash()], before, 'nothing has changed');
}

t.test('before its group is there, a user of that path alone is told who may make the group', async (t) => {
  await changesNothing(t, async () => {
    const { code, message } = await refusal(
      site.rpc.create('too early', { ...asDirectory, secrets: provisioner.secrets }),
    );
    t.equal(code, 'PERMISSION_DENIED', message);
    t.match(message, `client.${provisioner.name}`);
    t.match(message, group.path);
  });
});

t.test('a user restricted to the group gives the whole life of a volume, its trash included', async (t) => {
  await group.directories.make(group.path);
  const { secrets } = provisioner;
  const volume = await site.rpc.create('restricted', { ...asDirectory, secrets });
  t.same(await site.rpc.create('restricted', { ...asDirectory, secrets }), volume);
  t.same(await group.names(), [pathOf(volume.id).split('/').at(-1)]);
  const life = site.life(t);
  const paths = await life.attach(volume.id, { ...asShared, secrets });
  await writeFile(join(paths.targetPath, 'data'), 'mine');
  await life.detach(volume.id, paths);
  t.match(await site.rpc.expand(volume.id, 64n << 20n, 0n, secrets), { bytes: 64n << 20n, needsNode: false });
  t.equal(group.attribute(pathOf(volume.id), 'ceph.quota.max_bytes'), String(64 << 20));
  await site.rpc.delete(volume.id, secrets);
  t.same(await group.names(), []);
  t.ok(await group.isPurged(), 'and the space is freed');
  await site.rpc.delete(volume.id, secrets);
});

t.test(
  "a driver whose own user is restricted to the group lists, measures, and purges what others' left",
  async (t) => {
    const { secrets } = provisioner;
    const volume = await site.rpc.create('to be listed', { ...asDirectory, secrets });
    const gone = await site.rpc.create('to be purged', { ...asDirectory, secrets });
    await site.rpc.delete(gone.id, secrets);
    const keyFile = await site.life(t).file('key', secrets.userKey ?? '');
    const driver = await secondDriver(t, site, {
      args: ['--backends', 'cephfs'],
      config: clusterYaml(cluster, `    user: ${provisioner.name}\n    keyFile: ${keyFile}\n${groupYaml(site.pool)}`),
    });
    const rpc = new Rpc(() => driver);
    t.same((await rpc.list()).ids, [volume.id]);
    t.ok((await rpc.capacity()) > 0n);
    await rpc.delete(volume.id);
    t.same((await rpc.list()).ids, []);
    t.ok(await group.isPurged());
  },
);

t.test('a user without the flag p is told so, and leaves no directory that somebody must clear', async (t) => {
  await changesNothing(t, async () => {
    const { code, message } = await refusal(site.rpc.create('no quota', { ...asDirectory, secrets: withoutP.secrets }));
    t.equal(code, 'PERMISSION_DENIED', message);
    t.match(message, `client.${withoutP.name}`);
    t.match(message, /mds 'allow rwps path=.*p sets quotas/);
  });
  const { secrets } = provisioner;
  const volume = await site.rpc.create('no quota', { ...asDirectory, secrets });
  t.equal(group.attribute(pathOf(volume.id), 'ceph.quota.max_bytes'), String(16 << 20));
  const growing = await refusal(site.rpc.expand(volume.id, 64n << 20n, 0n, withoutP.secrets));
  t.equal(growing.code, 'PERMISSION_DENIED', growing.message);
  t.match(growing.message, /p sets quotas/);
  await site.rpc.delete(volume.id, withoutP.secrets);
  t.ok(await group.isPurged(), 'deleting takes no p');
});

for (const [what, user] of [
  ['restricted to another path', elsewhere],
  ['without mds capabilities', withoutMds],
  ['that may only read', reader],
] as const) {
  t.test(`a user ${what} is refused, and changes nothing`, async (t) => {
    const mine = await site.rpc.create('mine', { ...asDirectory, secrets: provisioner.secrets });
    await changesNothing(t, async () => {
      const { secrets } = user;
      const works = {
        CreateVolume: async () => site.rpc.create('not allowed', { ...asDirectory, secrets }),
        DeleteVolume: async () => site.rpc.delete(mine.id, secrets),
        ControllerExpandVolume: async () => site.rpc.expand(mine.id, 64n << 20n, 0n, secrets),
      };
      for (const [rpc, work] of Object.entries(works)) {
        const { code, message } = await refusal(work());
        t.equal(code, 'PERMISSION_DENIED', `${rpc}: ${message}`);
        t.match(message, `client.${user.name}`, rpc);
        t.match(message, /mds 'allow rwps path=/, `${rpc} says what it takes`);
      }
    });
    await site.rpc.delete(mine.id, provisioner.secrets);
  });
}

for (const [what, secrets, word] of [
  ['a wrong key', { userID: provisioner.name, userKey: strangerKey }, provisioner.name],
  ['a user that does not exist', { userID: 'it-nobody', userKey: strangerKey }, 'it-nobody'],
] as const) {
  t.test(`${what} is UNAUTHENTICATED in a sentence that names the user and not the key`, async (t) => {
    await changesNothing(t, async () => {
      const id = group.directories.id(`${group.path}/csi-vol-x`);
      const works = [
        async () => site.rpc.create('stranger', { ...asDirectory, secrets }),
        async () => site.rpc.delete(id, secrets),
        async () => site.rpc.expand(id, 1n << 30n, 0n, secrets),
      ];
      for (const work of works) {
        const { code, message } = await refusal(work());
        t.equal(code, 'UNAUTHENTICATED', message);
        t.match(message, `refuses client.${word}`);
        t.notOk(message.includes(strangerKey));
      }
    });
  });
}

t.test("the driver's own user, where it is nobody, is named by what carries no Secret", async (t) => {
  for (const work of [async () => site.rpc.list(), async () => site.rpc.capacity()]) {
    const { code, message } = await refusal(work());
    t.equal(code, 'UNAUTHENTICATED', message);
    t.match(message, 'nobody-at-all');
  }
});

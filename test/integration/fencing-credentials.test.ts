import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { documentedCaps } from '../harness/documented-users.js';
import { mountCapability } from '../harness/requests.js';
import { asDirectory, openGroup, provisionerCaps } from './group.js';
import { eventually } from './images.js';
import { refusal } from './outcome.js';

t.setTimeout(120_000);

const node = 'test-node';
const { site, group } = await openGroup(t);
await group.directories.make(group.path);

async function userWith(name: string, caps: Record<string, string>): Promise<Readonly<Record<string, string>>> {
  const user = `${name}-${site.pool}`;
  const userKey = await site.cluster.createUser(user, caps);
  t.teardown(async () => site.cluster.removeUser(user));
  return { userID: user, userKey };
}

const directory = { ...asDirectory, capabilities: [mountCapability('SINGLE_NODE_WRITER', '')] };
const asOne = { capability: mountCapability('SINGLE_NODE_WRITER', '') };

async function isRefused(file: string): Promise<boolean> {
  return eventually(
    async () =>
      writeFile(file, 'too late', { flush: true }).then(
        () => false,
        () => true,
      ),
    5_000,
  );
}

/** A volume that a pod uses, by this user's key alone. */
async function inUse(
  t: Test,
  secrets: Readonly<Record<string, string>>,
  create: Parameters<ReturnType<typeof site.life>['create']>[0],
) {
  const life = site.life(t);
  const { id } = await life.create({ ...create, secrets });
  const publishContext = await life.rpc.attach(id, node, { ...asOne, secrets });
  const paths = await life.attach(id, { ...asOne, publishContext, secrets });
  const file = join(paths.targetPath, 'data');
  await writeFile(file, 'in time', { flush: true });
  return { life, id, paths, file };
}

t.test("a user of profile rbd may fence; that it can't lift the fence holds nothing up", async (t) => {
  const caps = { ...documentedCaps('controller', 'RBD', { pool: site.pool }) };
  const secrets = await userWith('fencer', caps);
  const create = { parameters: { pool: site.pool }, requiredBytes: 32n << 20n };
  const { life, id, paths, file } = await inUse(t, secrets, create);
  await life.rpc.detach(id, node, secrets);
  t.ok(await isRefused(file));
  await life.detach(id, paths);
  const publishContext = await life.rpc.attach(id, node, { ...asOne, secrets });
  const again = await life.attach(id, { ...asOne, publishContext, secrets });
  await writeFile(join(again.targetPath, 'data'), 'again', { flush: true });
  await life.detach(id, again);
  await life.rpc.detach(id, node, secrets);
  t.same(await life.rpc.attach(id, node, { ...asOne, secrets }), { attached: 'true' });
  await life.rpc.detach(id, node, secrets);
  await life.rpc.delete(id, secrets);
});

t.test('a CephFS user that may not fence: the volume stays where it is until it is unstaged', async (t) => {
  const secrets = await userWith('not-a-fencer', { ...provisionerCaps(group.path), mon: 'allow r' });
  const { life, id, paths, file } = await inUse(t, secrets, directory);
  const { code, message } = await refusal(life.rpc.detach(id, node, secrets));
  t.equal(code, 'PERMISSION_DENIED');
  t.match(message, /node "test-node" has not let go/);
  t.match(message, /client\.not-a-fencer\S* lacks the mon capability.*allow command "osd blocklist"/);
  t.match(message, /or unstage the volume there/);
  t.same((await life.rpc.getVolume(id)).nodes, [node]);
  await writeFile(file, 'goes on', { flush: true });
  await life.detach(id, paths);
  await life.rpc.detach(id, node, secrets);
  t.same((await life.rpc.getVolume(id)).nodes, []);
  await life.rpc.delete(id, secrets);
});

t.test('a CephFS user that may add to the blocklist fences, within its path', async (t) => {
  const secrets = await userWith('cephfs-fencer', provisionerCaps(group.path));
  const { life, id, paths, file } = await inUse(t, secrets, directory);
  await life.rpc.detach(id, node, secrets);
  t.same((await life.rpc.getVolume(id)).nodes, []);
  t.ok(await isRefused(file));
  await life.detach(id, paths);
  await life.rpc.delete(id, secrets);
});

t.test('what was deleted is purged', async (t) => {
  t.ok(await group.isPurged());
});

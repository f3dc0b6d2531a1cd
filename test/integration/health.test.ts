import t from 'tap';
import { HealthRpc } from './health-rpc.js';
import { eventually } from './images.js';
import { secondDriver, Site } from './site.js';

t.setTimeout(120_000);

const site = await Site.open(t);
const health = new HealthRpc(() => site.driver);

t.test('the volumes of a pool at its quota are DEGRADED, alone and in the list, until it is lifted', async (t) => {
  const life = site.life(t);
  const volume = await life.create({ parameters: { pool: site.pool }, requiredBytes: 16n << 20n });
  t.same(await health.volume(volume.id), []);
  // The header and the directory of images are more than one object; the manager counts every few seconds.
  await site.cluster.ceph(['osd', 'pool', 'set-quota', site.pool, 'max_objects', '1']);
  t.ok(await eventually(async () => (await health.volume(volume.id)).length > 0, 40_000), 'it is noticed');
  t.match(await health.volume(volume.id), [
    { status: 'DEGRADED', reason: 'PoolQuotaReached', message: new RegExp(`pool "${site.pool}".*set-quota`) },
  ]);
  t.ok((await health.list()).ids.includes(volume.id));
  t.match(
    (await health.storage()).find(({ reason }) => reason === 'Full'),
    { status: 'STORAGE_DEGRADED', message: /cluster "default": .*POOL_FULL/ },
  );
  await site.cluster.ceph(['osd', 'pool', 'set-quota', site.pool, 'max_objects', '0']);
  t.ok(await eventually(async () => (await health.volume(volume.id)).length === 0, 40_000), 'and healthy again');
});

t.test("a user with RBD's own capabilities learns the same", async (t) => {
  const life = site.life(t);
  const { id } = await life.create({ parameters: { pool: site.pool }, requiredBytes: 16n << 20n });
  const user = `health-${site.pool}`;
  const userKey = await site.cluster.createUser(user, {
    mon: 'profile rbd',
    osd: `profile rbd pool=${site.pool}`,
  });
  t.teardown(async () => site.cluster.removeUser(user));
  const secrets = { userID: user, userKey };
  t.same(await health.volume(id, secrets), []);
  await health.storage(secrets);
  t.same(await site.logged('only that the cluster answers is known'), []);
  await health.storage({ ...secrets, userKey: site.cluster.adminKey });
  t.equal((await site.logged('only that the cluster answers is known')).length, 1, 'a wrong key is answered, too');
});

t.test('a node that holds no key still knows which cluster answers it', async (t) => {
  const without = (id: string, monitors: string) =>
    `  - id: ${id}\n    monitors: "${monitors}"\n    user: nobody\n    timeouts: { connectSeconds: 2 }\n`;
  const config = `clusters:\n${without('there', site.cluster.monHost)}${without('gone', '127.0.0.1:1')}`;
  const node = await secondDriver(t, site, { config, role: 'node' });
  const troubles = await new HealthRpc(() => node, 5_000).storage();
  t.match(troubles, [{ status: 'STORAGE_UNREACHABLE', reason: 'MonitorsUnreachable', message: /cluster "gone"/ }]);
  t.notMatch(troubles[0]?.message, /"there"/);
  t.equal(troubles.length, 1);
});

import { HealthRpc } from '../integration/health-rpc.js';
import { refusal } from '../integration/outcome.js';
import type { Bench, Checks } from './contract-bench.js';

const healthOf = (bench: Bench) => new HealthRpc(() => bench.site.driver);

export const healthChecks: Checks = {
  'a volume that is there is healthy, one that is not is NOT_FOUND': async (t, bench) => {
    const health = healthOf(bench);
    const { id } = await bench.create();
    t.same(await health.volume(id), []);
    for (const garbage of [`${id}x`, 'fake-vol-id'])
      t.equal((await refusal(health.volume(garbage))).code, 'NOT_FOUND', garbage);
    t.equal((await refusal(health.volume(''))).code, 'INVALID_ARGUMENT');
    await bench.life.delete(id);
    t.equal((await refusal(health.volume(id))).code, 'NOT_FOUND', 'deleted');
  },

  'the list of health leaves out healthy volumes and has the pages of ListVolumes': async (t, bench) => {
    const health = healthOf(bench);
    await Promise.all([bench.create(), bench.create(), bench.create()]);
    let token = '';
    do {
      const volumes = await bench.rpc.list(2, token);
      t.same(await health.list(2, token), { ids: [], next: volumes.next });
      token = volumes.next;
    } while (token !== '');
    t.equal((await refusal(health.list(1, 'no-token'))).code, 'ABORTED');
    t.equal((await refusal(health.list(-1))).code, 'INVALID_ARGUMENT');
  },

  'a volume on a node is healthy where it is, missed where it was published, and NOT_FOUND when it is gone': async (
    t,
    bench,
  ) => {
    const health = healthOf(bench);
    const volume = await bench.create();
    t.equal((await refusal(health.onNode(volume.id))).code, 'NOT_FOUND', 'not staged yet');
    const paths = await bench.life.attach(volume.id, bench.use(volume));
    const { stagingPath, targetPath } = paths;
    for (const asked of [{}, paths, { stagingPath }, { targetPath }])
      t.same(await health.onNode(volume.id, asked), [], JSON.stringify(asked));
    t.equal((await refusal(health.onNode(volume.id, { targetPath: 'some/path' }))).code, 'NOT_FOUND');
    await bench.life.unpublish(volume.id, targetPath);
    t.match(await health.onNode(volume.id, paths), [{ status: 'INACCESSIBLE', reason: 'NotMounted' }]);
    await bench.life.unstage(volume.id, stagingPath);
    for (const asked of [{}, paths]) t.equal((await refusal(health.onNode(volume.id, asked))).code, 'NOT_FOUND');
    t.equal((await refusal(health.onNode('fake-vol-id', paths))).code, 'NOT_FOUND');
    t.equal((await refusal(health.onNode('', paths))).code, 'INVALID_ARGUMENT');
  },

  'the cluster answers this node': async (t, bench) => {
    const statuses = (await healthOf(bench).storage()).map(({ status }) => status);
    t.notOk(statuses.includes('STORAGE_UNREACHABLE'));
  },
};

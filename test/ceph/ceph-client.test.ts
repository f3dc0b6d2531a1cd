import t from 'tap';
import { useCluster } from '../harness/cluster.js';
import { cephClientContract } from './ceph-client.contract.js';
import { realSubject } from './real-subject.js';

t.setTimeout(300_000);

t.test('librados, librbd and libcephfs against a real cluster', async (t) => {
  const cluster = await useCluster();
  t.teardown(async () => cluster.stop());
  const subject = realSubject(cluster);
  t.teardown(async () => subject.dispose());
  await cephClientContract(t, async () => Promise.resolve(subject));
});

import t from 'tap';
import { contactsOf } from '../../src/ceph/cluster-contacts.js';
import { ClusterGate } from '../../src/ceph/cluster-gate.js';

function gates(clusterId: string) {
  return { clusterId, monitors: new ClusterGate(4), osds: new ClusterGate(16), fileSystems: new ClusterGate(16) };
}

t.test('a service is told once it was asked, by how the last call ended', (t) => {
  const of = gates('a');
  const answers = () => Object.fromEntries(contactsOf([of], [])[0]?.answers ?? []);
  t.same(answers(), {});
  of.monitors.answered();
  of.fileSystems.silent();
  t.same(answers(), { monitors: true, MDSs: false });
  of.fileSystems.answered();
  of.osds.silent();
  t.same(answers(), { monitors: true, OSDs: false, MDSs: true });
  t.end();
});

t.test('a cluster whose monitors have changed is told by the newer ones; connections are counted by cluster', (t) => {
  const [old, other, now] = [gates('a'), gates('b'), gates('a')];
  old.monitors.silent();
  now.monitors.answered();
  const found = contactsOf([old, other, now], [{ clusterId: 'a' }, { clusterId: 'b' }, { clusterId: 'a' }]);
  t.same(
    found.map(({ cluster, connections, answers }) => [cluster, connections, [...answers]]),
    [
      ['a', 2, [['monitors', true]]],
      ['b', 1, []],
    ],
  );
  t.end();
});

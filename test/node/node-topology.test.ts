import t from 'tap';
import { nodeTopology, type NodeTopologySources } from '../../src/node/node-topology.js';
import { apiServer } from '../platform/api-server.js';
import { testContext } from '../platform/test-context.js';

const ctx = testContext();
const zone = 'topology.kubernetes.io/zone';
const rack = 'topology.rook.io/rack';

function topologyOf(change: Partial<NodeTopologySources>) {
  return nodeTopology({ nodeId: 'worker-1', own: {}, labels: [], api: undefined, ...change })(ctx);
}

t.test('a node without options has no topology, and one with --topology says that', async (t) => {
  t.equal(await topologyOf({}), undefined);
  t.strictSame(await topologyOf({ own: { [zone]: 'a' } }), { [zone]: 'a' });
});

t.test('labels of the Node become topology, under the key that is given for them', async (t) => {
  const labels = { [zone]: 'a', [rack]: 'r7', 'kubernetes.io/os': 'linux' };
  const { api, asked } = await apiServer(t, () => ({ status: 200, body: { metadata: { labels } } }));
  const wanted = [
    { label: zone, key: zone },
    { label: rack, key: 'topology.kubernetes.io/rack' },
  ];
  const topology = await topologyOf({ own: { region: 'r' }, labels: wanted, api: api() });
  t.strictSame(topology, { region: 'r', [zone]: 'a', 'topology.kubernetes.io/rack': 'r7' });
  t.strictSame(asked, ['/api/v1/nodes/worker-1']);
});

t.test('a label that is missing, or no topology value, is an error that names it and the Node', async (t) => {
  const { api } = await apiServer(t, () => ({ status: 200, body: { metadata: { labels: { [rack]: '' } } } }));
  for (const [label, message] of [
    [zone, /Node "worker-1" has no label topology.kubernetes.io\/zone.*kubectl label node/],
    [rack, /label topology.rook.io\/rack of Node "worker-1" is "".*no topology value/],
    ['toString', /has no label toString/],
  ] as const) {
    const refused = { code: 'FAILED_PRECONDITION', message };
    await t.rejects(topologyOf({ labels: [{ label, key: label }], api: api() }), refused);
  }
});

t.test('a Node that is not there, an API that refuses, and no API at all are told apart', async (t) => {
  const labels = [{ label: zone, key: zone }];
  await t.rejects(topologyOf({ labels }), { code: 'FAILED_PRECONDITION', message: /no service account/ });
  const none = await apiServer(t, () => ({ status: 404, body: {} }));
  await t.rejects(topologyOf({ labels, api: none.api() }), {
    code: 'FAILED_PRECONDITION',
    message: /no Node "worker-1"/,
  });
  await t.test('refused', async (t) => {
    const { api } = await apiServer(t, () => ({ status: 403, body: {} }));
    await t.rejects(topologyOf({ labels, api: api() }), { code: 'PERMISSION_DENIED', message: /get nodes/ });
  });
});

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { csiNodes } from '../../src/controller/csi-nodes.js';
import { kubernetesApiOf } from '../../src/platform/kubernetes-api.js';
import { type Answer, apiServer as startApiServer } from '../platform/api-server.js';
import { testContext } from '../platform/test-context.js';

const driverName = 'csi.cuttle.dev';
const csiNode = (name: string, nodeID: string, driver = driverName) => ({
  metadata: { name },
  spec: {
    drivers: [
      { name: 'other.driver', nodeID: 'x' },
      { name: driver, nodeID },
    ],
  },
});

/** A directory that asks a server of these answers. */
async function apiServer(t: Test, answer: Answer) {
  const server = await startApiServer(t, answer);
  const directory = (change: { server?: string; timeoutMs?: number } = {}) =>
    csiNodes({ driverName, api: server.api(change) });
  return { ...server, directory };
}

const ctx = testContext();
const list = (...items: unknown[]) => ({ status: 200, body: { items, metadata: {} } });

t.test('a node is known when its CSINode has this driver with this very id', async (t) => {
  const { directory } = await apiServer(t, (path) => {
    if (path.endsWith('/csinodes/worker-1')) return { status: 200, body: csiNode('worker-1', 'worker-1') };
    if (path.endsWith('/csinodes/worker-2')) return { status: 200, body: csiNode('worker-2', 'worker-2', 'another') };
    if (path.endsWith('/csinodes/worker-3')) return { status: 200, body: { spec: { drivers: null } } };
    return path.includes('?') ? list() : { status: 404, body: {} };
  });
  const nodes = directory();
  t.equal(await nodes.has(ctx, 'worker-1'), true);
  for (const other of ['worker-2', 'worker-3', 'worker-4']) t.equal(await nodes.has(ctx, other), false, other);
});

t.test('an id that is not the name of its Node is found in the list, page by page', async (t) => {
  const { directory, asked } = await apiServer(t, (path) => {
    if (!path.includes('?')) return { status: 404, body: {} };
    if (path.includes('continue=next%2F1')) return list(csiNode('w', 'Rack 7/node 3'));
    return { status: 200, body: { items: [csiNode('v', 'v')], metadata: { continue: 'next/1' } } };
  });
  t.equal(await directory().has(ctx, 'Rack 7/node 3'), true);
  t.equal(asked.length, 2, 'no Node is called that: two pages, and nothing else');
});

t.test('what is known is not asked for again at once, what is not known is', async (t) => {
  let registered = false;
  const { directory, asked } = await apiServer(t, (path) => {
    if (path.includes('?')) return list();
    return registered ? { status: 200, body: csiNode('w', 'w') } : { status: 404, body: {} };
  });
  const nodes = directory();
  t.equal(await nodes.has(ctx, 'w'), false);
  registered = true;
  t.equal(await nodes.has(ctx, 'w'), true);
  const before = asked.length;
  t.equal(await nodes.has(ctx, 'w'), true);
  t.equal(asked.length, before);
});

t.test('the token is sent as it is now', async (t) => {
  const tokens: (string | undefined)[] = [];
  const { directory, accountDir } = await apiServer(t, (path, token) => {
    tokens.push(token);
    return path.includes('?') ? list() : { status: 404, body: {} };
  });
  const nodes = directory();
  await nodes.has(ctx, 'w');
  writeFileSync(join(accountDir, 'token'), 'token-2');
  await nodes.has(ctx, 'w');
  t.strictSame(tokens, ['Bearer token-1', 'Bearer token-1', 'Bearer token-2', 'Bearer token-2']);
});

t.test('a refusal names the permission that is missing', async (t) => {
  const { directory } = await apiServer(t, () => ({ status: 403, body: {} }));
  const refused = { code: 'PERMISSION_DENIED', message: /\(403\).*get and list csinodes/ };
  await t.rejects(directory().has(ctx, 'w'), refused);
});

t.test('a server that fails, hangs or is away is UNAVAILABLE', async (t) => {
  const { directory } = await apiServer(t, (path) => (path.endsWith('/hangs') ? 'nothing' : { status: 500, body: {} }));
  await t.rejects(directory().has(ctx, 'w'), { code: 'UNAVAILABLE', message: /answers 500/ });
  const within = directory({ timeoutMs: 200 });
  await t.rejects(within.has(ctx, 'hangs'), { code: 'UNAVAILABLE', message: /no answer within 200 ms/ });
  await t.rejects(directory({ server: 'https://127.0.0.1:1' }).has(ctx, 'w'), { code: 'UNAVAILABLE' });
});

t.test('a server that the authority does not vouch for is not told the token', async (t) => {
  await t.test('the impostor', async (inner) => {
    const impostor = await apiServer(inner, () => ({ status: 200, body: csiNode('w', 'w') }));
    await inner.test('asked with another authority', async (innermost) => {
      const { directory } = await apiServer(innermost, () => ({ status: 404, body: {} }));
      const server = `https://127.0.0.1:${impostor.port}`;
      const refused = { code: 'UNAVAILABLE', message: /self-signed certificate/ };
      await innermost.rejects(directory({ server }).has(ctx, 'w'), refused);
      innermost.strictSame(impostor.asked, []);
    });
  });
});

t.test('outside of Kubernetes, or without a service account, there is nobody to ask', async (t) => {
  const { accountDir, port } = await apiServer(t, () => ({ status: 200, body: csiNode('w', 'w') }));
  const environment = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(port) };
  t.equal(await kubernetesApiOf({}, accountDir), undefined);
  t.equal(await kubernetesApiOf(environment, '/nowhere'), undefined);
  const api = await kubernetesApiOf(environment, accountDir);
  if (api === undefined) throw new Error('there is a service account');
  t.equal(await csiNodes({ driverName, api }).has(ctx, 'w'), true);
});

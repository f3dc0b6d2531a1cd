import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type KubernetesApi, kubernetesApi } from '../../src/platform/kubernetes-api.js';

/** Answers like an API server: a status and a body for a path. */
export type Answer = (path: string, token: string | undefined) => { status: number; body: unknown } | 'nothing';

/** A server with a certificate of its own authority, and a service account for it. */
export async function apiServer(t: Test, answer: Answer) {
  const accountDir = t.testdir({ token: 'token-1\n' });
  const [key, ca] = [join(accountDir, 'key.pem'), join(accountDir, 'ca.crt')];
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'],
      ...['-subj', '/CN=kubernetes', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', ca],
    ],
    { stdio: 'ignore' },
  );
  const asked: string[] = [];
  const server: Server = createServer({ key: readFileSync(key), cert: readFileSync(ca) }, (request, response) => {
    asked.push(request.url ?? '');
    const reply = answer(request.url ?? '', request.headers.authorization);
    if (reply === 'nothing') return;
    response.writeHead(reply.status, { 'content-type': 'application/json' }).end(JSON.stringify(reply.body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const api = (change: { server?: string; timeoutMs?: number } = {}): KubernetesApi =>
    kubernetesApi({ server: `https://127.0.0.1:${port}`, accountDir, timeoutMs: 2_000, ...change });
  return { accountDir, asked, api, port };
}

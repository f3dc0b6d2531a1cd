import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import t, { type Test } from 'tap';
import { csi } from '../../src/csi/gen/csi.js';
import type { RpcHandler } from '../../src/csi/rpc.js';
import { CsiServer } from '../../src/csi/server.js';
import { DriverError } from '../../src/domain/errors.js';
import { createMetrics } from '../../src/platform/metrics.js';
import { testContext } from '../platform/test-context.js';

/** A server whose Probe is the given handler, and a call of it. */
async function serverWith(t: Test, Probe: RpcHandler) {
  const directory = await mkdtemp(join(tmpdir(), 'cv-'));
  const { log, lines } = testContext();
  const metrics = createMetrics('test');
  const socketPath = join(directory, 's');
  const options = { socketPath, log, metrics, controller: undefined, node: undefined };
  const server = new CsiServer({ ...options, identity: { Probe } });
  await server.listen();
  const client = new csi.v1.IdentityClient(`unix:${socketPath}`, credentials.createInsecure());
  t.teardown(async () => {
    client.close();
    await server.drain(0);
    await rm(directory, { recursive: true, force: true });
  });
  const probe = async (requestId?: string, deadlineMs = 10_000) => {
    const metadata = new Metadata();
    if (requestId !== undefined) metadata.set('x-request-id', requestId);
    return new Promise<ServiceError | null>((resolve) => {
      client.Probe(new csi.v1.ProbeRequest(), metadata, { deadline: Date.now() + deadlineMs }, (error) => {
        resolve(error);
      });
    });
  };
  return { probe, lines, metrics };
}

t.test('a defect is INTERNAL with the request id for its caller, and whole in the log', async (t) => {
  const { probe, lines, metrics } = await serverWith(t, () => {
    throw new TypeError('undefined is not a volume');
  });
  const error = await probe('caller-7');
  t.equal(error?.code, status.INTERNAL);
  t.match(error?.details, /request id caller-7$/);
  t.notMatch(error?.message, /undefined is not a volume|TypeError/);
  t.match(lines.at(-1), {
    rpc: 'Probe',
    requestId: 'caller-7',
    code: 'INTERNAL',
    level: 50,
    err: { message: 'undefined is not a volume', stack: /server\.test/ },
  });
  t.match(await metrics.registry.metrics(), /_count\{method="Probe",code="INTERNAL"\} 1/);
});

t.test("a driver's own error keeps its code and its sentence, and is one line in the log", async (t) => {
  const refusal = new DriverError('NOT_FOUND', 'image a is not in pool b', { details: { errno: 2 } });
  const { probe, lines } = await serverWith(t, async () => Promise.reject(refusal));
  const error = await probe();
  t.equal(error?.code, status.NOT_FOUND);
  t.equal(error?.details, 'image a is not in pool b');
  t.strictSame(
    lines.map(({ msg }) => msg),
    ['start', 'end'],
  );
  t.match(lines[1], { level: 40, code: 'NOT_FOUND', reason: 'image a is not in pool b', errno: 2 });
});

t.test('a request id that is not a plain one is replaced: it ends up in the log', async (t) => {
  const { probe, lines } = await serverWith(t, async () => Promise.resolve(new csi.v1.ProbeResponse()));
  for (const id of ['plain.id_1-a', 'a b', '"},{"', 'x'.repeat(65), undefined]) {
    t.equal(await probe(id), null);
    const logged = String(lines.at(-1)?.requestId);
    if (id === 'plain.id_1-a') t.equal(logged, id);
    else t.match(logged, /^[0-9a-f]{8}-[0-9a-f-]{27}$/, `instead of ${id ?? 'none'}`);
  }
});

t.test(
  'work is told of the deadline shortly before its caller stops listening, so that the caller hears why',
  async (t) => {
    const { probe } = await serverWith(
      t,
      async ({ signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            reject(new Error('the program was ended'));
          });
        }),
    );
    const error = await probe(undefined, 600);
    t.equal(error?.code, status.DEADLINE_EXCEEDED);
    t.match(error?.details, /^Probe did not end within its deadline of \d+ ms: repeat it$/, 'said by the driver');
  },
);

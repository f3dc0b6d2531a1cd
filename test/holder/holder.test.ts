import { mkdtemp, rm, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecResult } from 'mount-utils-ts';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { Holder } from '../../src/holder/holder.js';
import type { DaemonHost, DaemonStart } from '../../src/platform/daemons.js';
import { heldDaemons } from '../../src/platform/held-daemons.js';
import { Secret } from '../../src/platform/secret.js';

const key = 'AQAsecretsecretsecretsecretsecret==';

interface Ground {
  readonly socketPath: string;
  readonly started: DaemonStart[];
  readonly log: string[];
  readonly holder: Holder;
}

const fine: ExecResult = { exitCode: 0, stdout: '/dev/nbd0\n', stderr: '' };

async function listen(t: Test, run: DaemonHost['run'] = async () => Promise.resolve(fine)): Promise<Ground> {
  const directory = await mkdtemp(join(tmpdir(), 'holder-'));
  const socketPath = join(directory, 'holder.sock');
  const started: DaemonStart[] = [];
  const log: string[] = [];
  const daemons: DaemonHost = {
    run: async (daemon) => {
      started.push(daemon);
      return run(daemon);
    },
    find: async () => Promise.resolve([]),
    hasOpen: async () => Promise.resolve(false),
    stop: async () => Promise.resolve(),
  };
  const holder = new Holder({
    socketPath,
    daemons,
    log: pino({ level: 'trace' }, { write: (line) => log.push(line) }),
  });
  await holder.listen();
  t.teardown(async () => {
    await holder.close();
    await rm(directory, { recursive: true });
  });
  return { socketPath, started, log, holder };
}

async function post(socketPath: string, path: string, body: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, method: 'POST' }, (answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
      answer.on('end', () => {
        resolve({ status: answer.statusCode ?? 0, body: text });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

t.test('a daemon is started by the holder as it would be here', async (t) => {
  const { socketPath, started, log } = await listen(t);
  t.equal((await stat(socketPath)).mode & 0o777, 0o600);
  const daemon = { program: 'ceph-fuse', args: ['--id', 'a "b"\n'], secrets: [new Secret(key)], timeoutMs: 5_000 };
  t.same(await heldDaemons(socketPath).run(daemon), fine);
  t.match(started, [{ program: 'ceph-fuse', args: daemon.args, timeoutMs: 5_000 }]);
  t.equal(started[0]?.secrets?.[0]?.reveal(), key);
  await heldDaemons(socketPath).run({ program: 'rbd-nbd', args: [], timeoutMs: 5_000 });
  t.same(started[1]?.secrets, []);
  t.notMatch(log.join(''), key);
});

t.test('how a program has failed is what the node plugin sees', async (t) => {
  for (const failed of [
    { exitCode: 2, stdout: '', stderr: 'no such image' },
    { exitCode: null, stdout: '', stderr: '', failure: 'not-found' },
    { exitCode: null, stdout: '', stderr: 'half', failure: 'timed-out' },
  ] as const) {
    const { socketPath, log } = await listen(t, async () => Promise.resolve(failed));
    t.same(await heldDaemons(socketPath).run({ program: 'ceph-fuse', args: [key], timeoutMs: 5_000 }), failed);
    t.notMatch(log.join(''), key);
  }
});

t.test('an error that is not meant for others keeps its inside', async (t) => {
  const { socketPath } = await listen(t, async () => Promise.reject(new Error(`inside ${key}`)));
  await t.rejects(heldDaemons(socketPath).run({ program: 'ceph-fuse', args: [], timeoutMs: 5_000 }), {
    code: 'INTERNAL',
    message: 'the holder failed: see its log',
  });
});

const refused: readonly [string, string, RegExp][] = [
  ['/v1/start', 'no JSON', /must be a JSON object/],
  ['/v1/start', '"text"', /must be a JSON object/],
  ['/v1/start', JSON.stringify({ program: '/bin/sh', args: [], timeoutMs: 1 }), /program must be one of ceph-fuse, /],
  ['/v1/start', JSON.stringify({ program: 'ceph-fuse', args: [1], timeoutMs: 1 }), /args must be/],
  ['/v1/start', JSON.stringify({ program: 'ceph-fuse', args: [], secrets: [], timeoutMs: 0 }), /timeoutMs must be/],
  ['/v1/start', JSON.stringify({ program: 'ceph-fuse', args: [], timeoutMs: 1, secrets: [5] }), /secrets must be/],
  ['/v1/start', ' '.repeat((1 << 20) + 1), /more than 1048576 bytes/],
  ['/v1/stop', '{}', /knows POST \/v1\/start and nothing else/],
];

for (const [path, body, message] of refused) {
  t.test(`${path} refuses ${body.slice(0, 60).trim()}: ${message.source}`, async (t) => {
    const { socketPath, started } = await listen(t);
    const answer = await post(socketPath, path, body);
    t.ok(answer.status >= 400);
    t.match(answer.body, message);
    t.same(started, []);
  });
}

t.test('a holder that is not there, or says nothing, is an error that names it', async (t) => {
  const { socketPath, holder } = await listen(t, async () => new Promise(() => undefined));
  const daemon = { program: 'ceph-fuse', args: [], timeoutMs: 10 };
  const missing = {
    code: 'UNAVAILABLE',
    message: /the holder at \/nowhere\.sock does not answer: see that its pod runs/,
  };
  await t.rejects(heldDaemons('/nowhere.sock').run(daemon), missing);
  await t.rejects(holder.listen(), { code: 'FAILED_PRECONDITION', message: /served by another process/ });
  await t.rejects(heldDaemons(socketPath).run(daemon), { code: 'UNAVAILABLE', message: /no answer within 5010 ms/ });
});

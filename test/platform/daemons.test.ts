import { readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { localDaemons, startDaemon } from '../../src/platform/daemons.js';
import { Secret } from '../../src/platform/secret.js';

/** A program that puts itself into the background, as a shell does it: a sleep of an unmistakable length. */
const background = (seconds: string) => `setsid sleep ${seconds} </dev/null >/dev/null 2>&1 &`;
/** Nobody else on this machine sleeps for so long. */
const unique = (n: number) => `8${process.pid}.${n}`;

/** A shell goes before its background job has become the program: so a short wait. */
async function findSoon(program: string, argument: string): Promise<number[]> {
  for (let tries = 0; tries < 300; tries++) {
    const found = await localDaemons.find(program, argument);
    if (found.length > 0) return found;
    await sleep(10);
  }
  return [];
}

t.test('a daemon is found by its program and a part of an argument, and stopped', async (t) => {
  const seconds = unique(1);
  await startDaemon(localDaemons, { program: 'sh', args: ['-c', background(seconds)], timeoutMs: 5_000 });
  const found = await findSoon('sleep', seconds.slice(1));
  t.equal(found.length, 1);
  t.strictSame(await localDaemons.find('sleep', 'no-such-argument'), []);
  t.strictSame(await localDaemons.find('leep', seconds), [], 'a part of the program name is not enough');
  for (const pid of found) await localDaemons.stop(pid, 5_000);
  t.strictSame(await localDaemons.find('sleep', seconds), []);
});

t.test('an argument is looked for in arguments, not in the name of the program', async (t) => {
  const seconds = unique(2);
  await startDaemon(localDaemons, { program: 'sh', args: ['-c', background(seconds)], timeoutMs: 5_000 });
  const pids = await findSoon('sleep', seconds);
  t.equal(pids.length, 1);
  t.strictSame(await localDaemons.find('sleep', 'sleep'), []);
  for (const pid of pids) await localDaemons.stop(pid, 5_000);
});

t.test('a daemon outlives the one who started it: it has another parent and its own session', async (t) => {
  const seconds = unique(3);
  await startDaemon(localDaemons, { program: 'sh', args: ['-c', background(seconds)], timeoutMs: 5_000 });
  const [pid = 0] = await findSoon('sleep', seconds);
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  t.not(fields[1], String(process.pid), 'the parent');
  t.equal(fields[3], String(pid), 'the session');
  await localDaemons.stop(pid, 5_000);
});

t.test('a daemon that ignores SIGTERM is killed after its grace, not before', async (t) => {
  const mark = `cuttle-stubborn-${unique(4)}`;
  const script = `trap '' TERM; while :; do sleep 0.05; done # ${mark}`;
  const start = `setsid sh -c "$1" </dev/null >/dev/null 2>&1 &`;
  await startDaemon(localDaemons, { program: 'bash', args: ['-c', start, 'start', script], timeoutMs: 5_000 });
  const [pid = 0] = await findSoon('sh', mark);
  await sleep(100); // until its trap is set
  t.ok(pid > 0);
  const startMs = performance.now();
  await localDaemons.stop(pid, 400);
  t.ok(performance.now() - startMs >= 400, 'the grace is given');
  t.strictSame(await localDaemons.find('sh', mark), []);
});

t.test('stopping what is gone already is fine', async (t) => {
  await t.resolves(localDaemons.stop(2 ** 22 + 1, 100));
});

t.test('secrets are readable on descriptors 3 and up and seen neither in argv nor in the environment', async (t) => {
  const directory = t.testdir();
  const marker = `marker-${unique(5)}`;
  const second = `second-${unique(7)}`;
  const seconds = unique(6);
  const script = `cat /dev/fd/3 > "$0/got"; cat /dev/fd/4 > "$0/got4"; stat -L -c '%h %a' /dev/fd/3 > "$0/links"; tr '\\0' '\\n' < /proc/$$/environ > "$0/environ"; tr '\\0' ' ' < /proc/$$/cmdline > "$0/cmdline"; ${background(seconds)}`;
  await startDaemon(localDaemons, {
    program: 'sh',
    args: ['-c', script, directory],
    secrets: [new Secret(marker), new Secret(second)],
    timeoutMs: 5_000,
  });
  const read = async (name: string) => readFile(join(directory, name), 'utf8');
  t.equal(await read('got'), marker);
  t.equal(await read('got4'), second);
  t.match(await read('links'), /^0 /, 'the file has no name that a crash could leave behind');
  const [pid = 0] = await findSoon('sleep', seconds);
  for (const [where, text] of [
    ["the start's command line", await read('cmdline')],
    ["the start's environment", await read('environ')],
    ["the daemon's command line", await readFile(`/proc/${pid}/cmdline`, 'utf8')],
    ["the daemon's environment", await readFile(`/proc/${pid}/environ`, 'utf8')],
  ] as const) {
    t.ok(text.length > 0, `${where} was read`);
    for (const secret of [marker, second]) t.notOk(text.includes(secret), where);
  }
  await localDaemons.stop(pid, 5_000);
});

t.test('without a secret there is no descriptor 3', async (t) => {
  const directory = t.testdir();
  const script = 'if [ -e /dev/fd/3 ]; then echo there; else echo none; fi > "$0/three"';
  await startDaemon(localDaemons, { program: 'sh', args: ['-c', script, directory], timeoutMs: 5_000 });
  t.equal((await readFile(join(directory, 'three'), 'utf8')).trim(), 'none');
});

t.test('a daemon that does not start is reported with the end of what it says', async (t) => {
  const script = 'for i in $(seq 500); do echo "line $i" >&2; done; exit 1';
  const failed = startDaemon(localDaemons, { program: 'sh', args: ['-c', script], timeoutMs: 5_000 });
  await t.rejects(failed, { code: 'INTERNAL', message: /^sh could not be started: .*line 500$/s });
  await failed.catch((error: unknown) => {
    t.notMatch((error as Error).message, /line 1\b/);
  });
});

t.test('a daemon that says nothing and one that is not ready in time are told apart', async (t) => {
  const start = async (script: string) =>
    startDaemon(localDaemons, { program: 'sh', args: ['-c', script], timeoutMs: 300 });
  await t.rejects(start('exit 1'), { code: 'INTERNAL', message: /it gave no reason/ });
  await t.rejects(start('exec sleep 30'), { code: 'INTERNAL', message: /not ready within 300 ms/ });
});

t.test('a program that is not installed is named', async (t) => {
  await t.rejects(startDaemon(localDaemons, { program: 'cuttle-no-such-program', args: [], timeoutMs: 1_000 }), {
    code: 'FAILED_PRECONDITION',
    message: 'cuttle-no-such-program is not installed on this node',
  });
});

t.test('what a process has open is told by its path', async (t) => {
  t.ok(await localDaemons.hasOpen(process.pid, await readlink('/proc/self/fd/0')));
  t.notOk(await localDaemons.hasOpen(process.pid, '/dev/fuse'));
  t.notOk(await localDaemons.hasOpen(1 << 30, '/dev/null'));
});

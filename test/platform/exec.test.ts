import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { eventually } from '../harness/eventually.js';
import { runProgram } from '../../src/platform/exec.js';

const shell = async (script: string, options = {}) => runProgram('sh', ['-c', script], options);

t.test('a program that ends by itself gives its exit code and both outputs', async (t) => {
  t.strictSame(await shell('echo out; echo err >&2; exit 3'), { exitCode: 3, stdout: 'out', stderr: 'err' });
  t.strictSame(await shell('exit 0'), { exitCode: 0, stdout: '', stderr: '' });
});

t.test('arguments reach the program as they are, without a shell', async (t) => {
  const { stdout } = await runProgram('printf', ['%s|', '$HOME', '`id`', 'a b', '; ls', '*']);
  t.equal(stdout, '$HOME|`id`|a b|; ls|*|');
});

t.test('a program speaks English: LC_ALL is C', async (t) => {
  t.equal((await shell('echo $LC_ALL')).stdout, 'C');
});

t.test('standard input is what is given, and empty without', async (t) => {
  t.equal((await runProgram('cat', [], { stdin: 'key\nwith lines' })).stdout, 'key\nwith lines');
  t.strictSame(await runProgram('cat', []), { exitCode: 0, stdout: '', stderr: '' });
});

t.test('a program that is not installed is told from one that fails', async (t) => {
  t.match(await runProgram('cuttle-no-such-program', []), { exitCode: null, failure: 'not-found' });
});

t.test('what is given to standard input does not come back in any output of a program that is not there', async (t) => {
  const result = await runProgram('cuttle-no-such-program', [], { stdin: 'marker-secret' });
  t.notOk(JSON.stringify(result).includes('marker-secret'));
});

t.test('a program that takes too long is ended, and what it said by then is kept', async (t) => {
  const startMs = performance.now();
  const result = await shell('echo $$; echo working >&2; exec sleep 30', { timeoutMs: 300 });
  t.match(result, { exitCode: null, failure: 'timed-out', stderr: 'working' });
  t.ok(performance.now() - startMs < 3_000, 'it does not wait for the end of the sleep');
  t.throws(() => process.kill(Number(result.stdout), 0), { code: 'ESRCH' }, 'the process is gone');
});

t.test('a program that ignores SIGTERM is killed', async (t) => {
  const startMs = performance.now();
  const result = await shell('trap "" TERM; while :; do sleep 0.1; done', { timeoutMs: 200 });
  t.match(result, { exitCode: null, failure: 'timed-out' });
  t.ok(performance.now() - startMs < 4_000);
});

t.test('what a program has started ends with it, as a helper of mount(8) does', async (t) => {
  const startMs = performance.now();
  const result = await shell('sleep 30 & echo $!; wait', { timeoutMs: 300 });
  t.match(result, { exitCode: null, failure: 'timed-out' });
  t.ok(performance.now() - startMs < 1_500, 'it is not waited for');
  // One that has ended has no command line, even before it is reaped.
  const commandLine = async () => readFile(`/proc/${result.stdout}/cmdline`, 'utf8').catch(() => '');
  t.ok(await eventually(async () => (await commandLine()) === '', 5_000), 'it is gone');
});

t.test("a caller's going away ends the program", async (t) => {
  const aborter = new AbortController();
  const running = shell('echo begun; exec sleep 30', { signal: aborter.signal });
  await sleep(200);
  aborter.abort();
  t.match(await running, { exitCode: null, failure: 'aborted', stdout: 'begun' });
});

t.test('nothing is started for a caller that has gone already', async (t) => {
  const file = `${t.testdir()}/started`;
  const result = await runProgram('touch', [file], { signal: AbortSignal.abort() });
  t.strictSame(result, { exitCode: null, stdout: '', stderr: '', failure: 'aborted' });
  t.match(await runProgram('ls', [file]), { exitCode: 2 });
});

t.test('a program that somebody else killed is told so, with the output it had', async (t) => {
  t.match(await shell('echo partial; kill -9 $$'), { exitCode: null, failure: 'killed', stdout: 'partial' });
});

t.test('a program that does not stop talking is not kept in memory', async (t) => {
  const { stdout } = await shell('head -c 9000000 /dev/zero');
  t.ok(stdout.length <= 4 << 20);
});

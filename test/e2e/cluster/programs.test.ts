import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { eventually } from '../../harness/eventually.js';
import { endOfLog, freePorts, mark, Programs } from './programs.js';

const withinMs = 20_000;
const directory = await mkdtemp(join(tmpdir(), 'programs-'));
const logs = join(directory, 'log');
t.teardown(async () => rm(directory, { recursive: true }));

t.test('a program that ends is started again, until it is ended', async (t) => {
  const programs = new Programs(directory, logs);
  const args = ['-c', 'echo begun; sleep 0.1'];
  const again = await programs.start('again', 'sh', args, { restarted: true });
  const begun = async () => (await readFile(again.logFile, 'utf8')).split('begun').length - 1;
  t.ok(await eventually(async () => (await begun()) >= 2, withinMs), 'it was started twice');
  await programs.endAll();
  const count = await begun();
  t.notOk(await eventually(async () => (await begun()) > count, 1_500), 'it is not started any more');
  t.same(programs.lost(), [], 'and nobody misses it');
});

t.test('a program that ends and is not started again is missed, with its exit code', async (t) => {
  const programs = new Programs(directory, logs);
  const once = await programs.start('once', 'sh', ['-c', 'echo why it ended; exit 3']);
  t.ok(await eventually(async () => Promise.resolve(once.ended !== undefined), withinMs));
  t.same(programs.lost(), [`once (exit code 3; ${once.logFile})`]);
  t.equal(await endOfLog(once), 'why it ended');
});

t.test('one that is not there has ended, too', async (t) => {
  const programs = new Programs(directory, logs);
  const missing = await programs.start('missing', join(directory, 'nothing'), []);
  t.ok(await eventually(async () => Promise.resolve(missing.ended?.includes('ENOENT') === true), withinMs));
  await programs.endAll();
});

t.test('a program that is deaf to SIGTERM is killed, and each carries the mark of the run', async (t) => {
  const programs = new Programs(directory, logs);
  const script = `trap '' TERM; echo "$${mark}"; while :; do sleep 0.1; done`;
  const deaf = await programs.start('deaf', 'sh', ['-c', script]);
  t.ok(await eventually(async () => (await endOfLog(deaf)) === directory, withinMs));
  await programs.endAll();
  t.throws(() => process.kill(deaf.pid, 0), { code: 'ESRCH' });
});

t.test('free ports are different ones', async (t) => {
  const ports = await freePorts(5);
  t.equal(new Set(ports).size, 5);
  t.ok(ports.every((port) => port > 0));
});

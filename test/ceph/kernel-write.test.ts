import { execFileSync } from 'node:child_process';
import { constants } from 'node:os';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import koffi from 'koffi';
import t from 'tap';
import { isKernelWriteUnderWay, kernelWriter } from '../../src/ceph/native/kernel-write.js';

/** Keys of any content: `ceph` ones are known only where libceph is loaded. */
const write = kernelWriter('user');
const name = `cuttle-test-${process.pid}`;
const key = () => ({ name, payload: Buffer.from('marker-7d2a') });
const { errno } = constants;

const trial = await write({ file: '/dev/null', text: '', key: key() });
const skip = trial.wrote ? false : `this machine takes no keys (add_key(2) fails with errno ${trial.errno})`;

/** Of the thread that runs this; it asks nobody but the kernel. */
function findKey(): number {
  const library = koffi.load('libkeyutils.so.1');
  const requestKey = library.func(
    'int32_t request_key(const char *type, const char *name, void *callout, int32_t ring)',
  );
  return requestKey('user', name, null, 0) as number;
}

t.test('a text is written to a file that is there', async (t) => {
  const file = join(t.testdir({ file: '' }), 'file');
  t.strictSame(await write({ file, text: 'hello' }), { wrote: true });
  t.equal(await readFile(file, 'utf8'), 'hello');
});

t.test('what the kernel refuses is told by its errno, and in which step', async (t) => {
  const file = join(t.testdir(), 'absent');
  t.strictSame(await write({ file, text: 'x' }), { wrote: false, step: 'open', errno: errno.ENOENT });
  t.strictSame(await write({ file: '/dev/full', text: 'x' }), { wrote: false, step: 'write', errno: errno.ENOSPC });
});

t.test('a kernel that does not know the type of the key says so, and nothing is written', async (t) => {
  const file = join(t.testdir({ file: 'before' }), 'file');
  const answer = await kernelWriter('no-such-type')({ file, text: 'x', key: key() });
  t.match(answer, { wrote: false, step: 'key' });
  t.equal(await readFile(file, 'utf8'), 'before');
});

t.test('while a write hangs, its key is its own, and nothing else waits', { skip }, async (t) => {
  const fifo = join(t.testdir(), 'fifo');
  execFileSync('mkfifo', [fifo]);
  const given = key();
  const writing = write({ file: fifo, text: 'hello', key: given });
  t.ok(
    given.payload.every((byte) => byte === 0),
    'the caller’s copy is wiped',
  );
  // The thread waits for a reader; it has its key by then.
  while (!(await readFile('/proc/keys', 'utf8')).includes(name)) await sleep(5);
  t.ok(isKernelWriteUnderWay());
  t.equal(findKey(), -1, 'another thread does not find the key');
  const reader = await open(fifo, 'r');
  t.equal(await reader.readFile('utf8'), 'hello');
  await reader.close();
  t.strictSame(await writing, { wrote: true });
  t.notOk(isKernelWriteUnderWay());
  const end = Date.now() + 20_000;
  // The kernel collects keys that nobody holds in the background.
  while ((await readFile('/proc/keys', 'utf8')).includes(name) && Date.now() < end) await sleep(20);
  t.notOk((await readFile('/proc/keys', 'utf8')).includes(name), 'the key has gone with its thread');
});

t.test('many at once do not meet', { skip }, async (t) => {
  const directory = t.testdir();
  const files = Array.from({ length: 8 }, (_, i) => join(directory, String(i)));
  await Promise.all(files.map(async (file) => writeFile(file, '')));
  const answers = await Promise.all(files.map(async (file) => write({ file, text: file, key: key() })));
  t.ok(answers.every(({ wrote }) => wrote));
  for (const file of files) t.equal(await readFile(file, 'utf8'), file);
});

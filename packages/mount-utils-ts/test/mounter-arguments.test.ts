import t from 'tap';
import { MountError } from '../src/mount-error.js';
import { parseMountInfo } from '../src/mount-info.js';
import { Mounter } from '../src/mounter.js';
import { rejection } from './support/rejection.js';
import { fakeExec } from './support/fake-exec.js';

const TABLE = parseMountInfo(`1 0 254:0 / / rw - ext4 /dev/vda rw
50 1 7:1 / /mnt/x rw,nosuid - ext4 /dev/loop1 rw
`);
const readTable = () => Promise.resolve(TABLE);

void t.test('source and target stand behind a double dash, options in one argument', async (t) => {
  const { exec, calls } = fakeExec();
  await new Mounter({ exec, readTable }).mount('-src', '-tgt', 'ext4', ['noatime', 'rw', 'discard']);
  t.strictSame(calls[0]?.args, ['-t', 'ext4', '--rw', '-o', 'noatime,discard', '--', '-src', '-tgt']);
});

void t.test('every call has a time limit and the signal of its caller', async (t) => {
  const { exec, calls } = fakeExec();
  const mounter = new Mounter({ exec, readTable });
  const { signal } = new AbortController();
  await mounter.mount('s', '/t', '', []);
  await mounter.mount('s', '/t', '', [], { signal, timeoutMs: 5 });
  await mounter.unmount('/mnt/x');
  t.strictSame(calls[0]?.options, { timeoutMs: 60_000 });
  t.strictSame(calls[1]?.options, { timeoutMs: 5, signal });
  t.strictSame(calls[2]?.options, { timeoutMs: 60_000 });
});

void t.test('no umount runs for a path where nothing is mounted', async (t) => {
  const { exec, calls } = fakeExec();
  await new Mounter({ exec, readTable }).unmount('/dev/loop1');
  t.strictSame(calls, []);
});

void t.test('an unmount that fails while someone else unmounts is fine', async (t) => {
  const { exec } = fakeExec({ umount: { exitCode: 32 } });
  let reads = 0;
  const changing = () => Promise.resolve(reads++ === 0 ? TABLE : TABLE.slice(0, 1));
  await new Mounter({ exec, readTable: changing }).unmount('/mnt/x');
  t.equal(reads, 2);
});

void t.test('an unmount that hangs is followed by a lazy one, another failure is not', async (t) => {
  const hanging = fakeExec({
    umount: ({ args }) => (args.includes('--lazy') ? {} : { exitCode: null, failure: 'timed-out' }),
  });
  await new Mounter({ exec: hanging.exec, readTable }).unmountWithForce('/mnt/x', 1234);
  t.equal(hanging.calls[0]?.options?.timeoutMs, 1234);
  t.ok(hanging.calls[1]?.args.includes('--lazy'));
  t.notOk(hanging.calls.some((call) => call.args.includes('--force')));

  const busy = fakeExec({ umount: { exitCode: 32, stderr: 'target is busy' } });
  await t.rejects(new Mounter({ exec: busy.exec, readTable }).unmountWithForce('/mnt/x', 1234), /target is busy/);
  t.equal(busy.calls.length, 1);
});

void t.test('a plain bind takes one step, and bind or rw among its options adds none', async (t) => {
  const { exec, calls } = fakeExec();
  const mounter = new Mounter({ exec, readTable });
  await mounter.bindMount('/a', '/b', { options: ['bind'] });
  t.strictSame(
    calls.map((call) => call.args),
    [['--bind', '--', '/a', '/b']],
  );
});

void t.test('the second step of a bind repeats the flags that the kernel would clear', async (t) => {
  const { exec, calls } = fakeExec();
  await new Mounter({ exec, readTable }).bindMount('/a', '/mnt/x', { readOnly: true, options: ['rw', 'noexec'] });
  t.strictSame(calls[1]?.args, ['-o', 'remount,bind,ro,noexec,nosuid', '--', '/a', '/mnt/x']);
});

void t.test('an aborted mount is a MountError that says so', async (t) => {
  const { exec } = fakeExec({ mount: { exitCode: null, failure: 'aborted' } });
  const error = await rejection(new Mounter({ exec, readTable }).mount('s', '/t', '', []));
  t.ok(error instanceof MountError && error.failure === 'aborted');
});

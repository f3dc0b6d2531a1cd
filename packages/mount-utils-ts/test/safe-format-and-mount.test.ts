import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { FakeMounter } from '../src/fake-mounter.js';
import { MountError, type MountErrorKind } from '../src/mount-error.js';
import { SafeFormatAndMount, type FormatAndMountRequest } from '../src/safe-format-and-mount.js';
import { rejection } from './support/rejection.js';
import { fakeExec, type Answer } from './support/fake-exec.js';
import { workspace } from './support/workspace.js';

const holds = (type: string) => ({ stdout: `DEVNAME=/dev/x\nTYPE=${type}\n` });
const NOTHING = { exitCode: 2 };

async function start(t: Test, answers: Record<string, Answer>, sizeBytes = 4096) {
  const { makeImage } = await workspace(t);
  const device = await makeImage('device', sizeBytes);
  const fake = fakeExec(answers);
  const mounter = new FakeMounter();
  const safe = new SafeFormatAndMount({ mounter, exec: fake.exec, maxConcurrentFormats: 2 });
  const mount = (request: Partial<FormatAndMountRequest> = {}) =>
    safe.formatAndMount({ device, target: '/t', fsType: 'ext4', ...request });
  const ran = () => fake.calls.map((call) => call.program);
  return { ...fake, device, mounter, safe, mount, ran };
}

async function failsWith(t: Test, promise: Promise<unknown>, kind: MountErrorKind, says: RegExp) {
  const error = await rejection(promise);
  t.ok(error instanceof MountError);
  t.match(error, { kind });
  t.match((error as Error).message, says);
}

void t.test('blkid is asked past its cache, for the two tags that decide', async (t) => {
  const { safe, device, calls } = await start(t, { blkid: holds('ext4') });
  t.strictSame(await safe.getDiskFormat(device), { kind: 'filesystem', fsType: 'ext4' });
  t.strictSame(calls[0]?.args, ['-p', '-s', 'TYPE', '-s', 'PTTYPE', '-o', 'export', device]);
});

void t.test('what blkid says decides what a device holds', async (t) => {
  const cases: [Answer, object][] = [
    [{ stdout: 'DEVNAME=/dev/x\n' }, { kind: 'blank' }],
    [{ stdout: 'TYPE=\nPTTYPE=\n' }, { kind: 'blank' }],
    [NOTHING, { kind: 'blank' }],
    [{ stdout: 'PTTYPE=gpt\n' }, { kind: 'partition-table', type: 'gpt' }],
    [{ stdout: 'TYPE=vfat\nPTTYPE=dos\n' }, { kind: 'partition-table', type: 'dos' }],
    [holds('LVM2_member'), { kind: 'other', type: 'LVM2_member' }],
    [holds('crypto_LUKS'), { kind: 'other', type: 'crypto_LUKS' }],
    [holds('swap'), { kind: 'other', type: 'swap' }],
    [holds('bcachefs'), { kind: 'filesystem', fsType: 'bcachefs' }],
    [{ exitCode: 8 }, { kind: 'other', type: 'ambivalent' }],
  ];
  for (const [blkid, expected] of cases) {
    const { safe, device } = await start(t, { blkid });
    t.strictSame(await safe.getDiskFormat(device), expected, JSON.stringify(blkid));
  }
});

void t.test('a device that cannot be probed is not blank', async (t) => {
  for (const blkid of [
    { exitCode: 4 },
    { exitCode: 1 },
    { exitCode: null },
    { exitCode: null, failure: 'timed-out' as const },
    // An exit code beside a failure is worth nothing.
    { exitCode: 2, failure: 'killed' as const },
    { exitCode: null, failure: 'not-found' as const },
  ]) {
    const { mount, ran } = await start(t, { blkid });
    await failsWith(t, mount(), 'GetDiskFormatFailed', /cannot tell what is on/);
    t.strictSame(ran(), ['blkid']);
  }
});

void t.test('"nothing found" is not believed of a device that is absent, empty or no device', async (t) => {
  const { mount, ran } = await start(t, { blkid: NOTHING });
  await failsWith(t, mount({ device: '/absent/device' }), 'GetDiskFormatFailed', /ENOENT/);
  await failsWith(
    t,
    mount({ device: '/dev/null' }),
    'GetDiskFormatFailed',
    /neither a block device nor a regular file/,
  );
  const empty = await start(t, { blkid: NOTHING }, 0);
  await failsWith(t, empty.mount(), 'GetDiskFormatFailed', /its size is 0/);
  t.notOk([...ran(), ...empty.ran()].some((program) => program.startsWith('mkfs')));
});

void t.test('a blank device is formatted, then noted, then mounted', async (t) => {
  const { mount, mounter, calls, device } = await start(t, { blkid: NOTHING });
  let mountedWhenNoted: boolean | undefined;
  const onFormatted = async () => {
    mountedWhenNoted = await mounter.isMountPoint('/t');
  };
  t.strictSame(await mount({ onFormatted, formatOptions: ['-O', 'x'] }), {
    formatted: true,
    grown: false,
    fsType: 'ext4',
  });
  t.equal(mountedWhenNoted, false);
  t.strictSame(calls[1], {
    program: 'mkfs.ext4',
    args: ['-F', '-m0', '-E', 'nodiscard', '-O', 'x', device],
    options: { timeoutMs: 1_800_000 },
  });
  t.strictSame(mounter.actions, [{ action: 'mount', source: device, target: '/t', fsType: 'ext4', options: ['rw'] }]);
});

void t.test('a caller who gives -E says all of it, and xfs is not discarded either', async (t) => {
  const ext4 = await start(t, { blkid: NOTHING });
  await ext4.mount({ formatOptions: ['-E', 'discard'] });
  t.strictSame(ext4.calls[1]?.args, ['-F', '-m0', '-E', 'discard', ext4.device]);
  const xfs = await start(t, { blkid: NOTHING });
  await xfs.mount({ fsType: 'xfs', formatOptions: ['-i', 'size=1024'] });
  t.strictSame(xfs.calls[1]?.program, 'mkfs.xfs');
  t.strictSame(xfs.calls[1]?.args, ['-f', '-K', '-i', 'size=1024', xfs.device]);
});

void t.test('a blank device whose formatting is refused stays untouched and unmounted', async (t) => {
  const { mount, mounter, ran } = await start(t, { blkid: NOTHING });
  await failsWith(t, mount({ allowFormat: () => Promise.resolve(false) }), 'FormatFailed', /refused/);
  t.strictSame(ran(), ['blkid']);
  t.strictSame(mounter.actions, []);
});

void t.test('a blank device is not mounted read-only, and allowFormat is not even asked', async (t) => {
  const { mount, ran } = await start(t, { blkid: NOTHING });
  let asked = false;
  const allowFormat = () => {
    asked = true;
    return Promise.resolve(true);
  };
  for (const asReadOnly of [{ readOnly: true }, { mountOptions: ['ro'] }]) {
    await failsWith(t, mount({ ...asReadOnly, allowFormat }), 'UnformattedReadOnly', /was not formatted/);
  }
  t.strictSame(ran(), ['blkid', 'blkid']);
  t.equal(asked, false);
});

void t.test('anything but the wanted file system is named and never formatted', async (t) => {
  const cases: [Answer, RegExp][] = [
    [holds('xfs'), /holds a xfs file system, but ext4 was asked for/],
    [{ stdout: 'PTTYPE=dos\n' }, /holds a partition table \(dos\), but ext4/],
    [holds('crypto_LUKS'), /holds crypto_LUKS data, but ext4/],
    [{ exitCode: 8 }, /contradict each other/],
  ];
  for (const [blkid, says] of cases) {
    const { mount, ran, mounter } = await start(t, { blkid });
    await failsWith(t, mount(), 'FilesystemMismatch', says);
    t.strictSame(ran(), ['blkid']);
    t.strictSame(mounter.actions, []);
  }
});

void t.test('an ext4 is checked before it is mounted, and the exit code decides', async (t) => {
  for (const exitCode of [0, 1, 2, 3]) {
    const { mount, calls, device } = await start(t, { blkid: holds('ext4'), 'fsck.ext4': { exitCode } });
    t.strictSame(await mount(), { formatted: false, grown: false, fsType: 'ext4' }, `exit ${exitCode}`);
    t.strictSame(calls[1]?.args, ['-p', device]);
    t.notOk(calls[1]?.options?.signal, 'the check cannot be aborted');
  }
  const bad: [Answer, MountErrorKind][] = [
    [{ exitCode: 4 }, 'HasFilesystemErrors'],
    [{ exitCode: 5 }, 'HasFilesystemErrors'],
    [{ exitCode: 12 }, 'HasFilesystemErrors'],
    [{ exitCode: 8 }, 'Unknown'],
    [{ exitCode: 16 }, 'Unknown'],
    [{ exitCode: 32 }, 'Unknown'],
    [{ exitCode: 128 }, 'Unknown'],
    [{ exitCode: null }, 'Unknown'],
    [{ exitCode: 0, failure: 'timed-out' }, 'Unknown'],
  ];
  for (const [answer, kind] of bad) {
    const { mount, mounter } = await start(t, { blkid: holds('ext4'), 'fsck.ext4': answer });
    await failsWith(t, mount(), kind, /Nothing was mounted/);
    t.strictSame(mounter.actions, []);
  }
});

void t.test('what fsck wrote to stdout is in the error', async (t) => {
  const { mount } = await start(t, {
    blkid: holds('ext4'),
    'fsck.ext4': { exitCode: 4, stdout: 'UNEXPECTED INCONSISTENCY' },
  });
  await failsWith(t, mount(), 'HasFilesystemErrors', /UNEXPECTED INCONSISTENCY/);
});

void t.test('a missing fsck is passed over, xfs and read-only mounts need none', async (t) => {
  const missing = await start(t, { blkid: holds('ext4'), 'fsck.ext4': { exitCode: null, failure: 'not-found' } });
  await missing.mount();
  t.equal(missing.mounter.actions.length, 1);
  const xfs = await start(t, { blkid: holds('xfs') });
  await xfs.mount({ fsType: 'xfs' });
  t.strictSame(xfs.ran(), ['blkid']);
  const readOnly = await start(t, { blkid: holds('ext4') });
  await readOnly.mount({ readOnly: true, mountOptions: ['rw', 'noatime'] });
  t.strictSame(readOnly.ran(), ['blkid']);
  t.strictSame(readOnly.mounter.actions[0]?.options, ['ro', 'noatime']);
});

void t.test('a failed mkfs is FormatFailed: nothing is noted and nothing mounted', async (t) => {
  const { mount, mounter } = await start(t, { blkid: NOTHING, 'mkfs.ext4': { exitCode: 1, stderr: 'bad option' } });
  let noted = false;
  const onFormatted = () => {
    noted = true;
    return Promise.resolve();
  };
  await failsWith(t, mount({ onFormatted }), 'FormatFailed', /bad option/);
  t.equal(noted, false);
  t.strictSame(mounter.actions, []);
});

void t.test('a failed xfs mount tells of xfs_repair, a failed ext4 mount does not', async (t) => {
  for (const [fsType, says] of [
    ['xfs', true],
    ['ext4', false],
  ] as const) {
    const { mount, mounter, device } = await start(t, { blkid: holds(fsType) });
    mounter.failNext('mount', new MountError('Unknown', 'could not mount.', { program: 'mount', exitCode: 32 }));
    const error = await rejection(mount({ fsType }));
    t.equal((error as Error).message.includes(`xfs_repair ${device}`), says);
    t.match(error, { program: 'mount', exitCode: 32 });
  }
});

void t.test('a name that is no file system type runs no program', async (t) => {
  for (const fsType of ['', '../evil', 'ext4 -x', '-v', 'ext4;id']) {
    const { mount, calls } = await start(t, { blkid: NOTHING });
    await failsWith(t, mount({ fsType }), 'FormatFailed', /is not a file system type/);
    t.strictSame(calls, []);
  }
  const { mount } = await start(t, { blkid: NOTHING });
  await t.rejects(mount({ device: '-relative' }), /must be an absolute path/);
});

void t.test('an abort during mkfs lets it finish and mounts nothing', async (t) => {
  const controller = new AbortController();
  let finished = false;
  const { safe, device, calls, mounter } = await start(t, {
    blkid: NOTHING,
    'mkfs.ext4': async () => {
      controller.abort();
      await sleep(10);
      finished = true;
      return {};
    },
  });
  let noted = false;
  const onFormatted = () => {
    noted = true;
    return Promise.resolve();
  };
  const request = { device, target: '/t', fsType: 'ext4', onFormatted };
  await t.rejects(safe.formatAndMount(request, { signal: controller.signal }), { name: 'AbortError' });
  t.equal(finished, true);
  t.equal(noted, true, 'the note must not be lost');
  t.notOk(calls[1]?.options?.signal);
  t.strictSame(mounter.actions, []);
});

void t.test('no more devices are formatted at once than the limit says', async (t) => {
  let running = 0;
  let most = 0;
  const { mount } = await start(t, {
    blkid: NOTHING,
    'mkfs.ext4': async () => {
      most = Math.max(most, ++running);
      await sleep(5);
      running--;
      return {};
    },
  });
  const results = await Promise.all(Array.from({ length: 7 }, (_, index) => mount({ target: `/t${index}` })));
  t.equal(results.filter((result) => result.formatted).length, 7);
  t.equal(most, 2);
});

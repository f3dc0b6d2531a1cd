import { execFileSync } from 'node:child_process';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { Luks } from '../src/luks.js';
import { fakeExec } from './support/fake-exec.js';
import { realExec } from './support/real-exec.js';
import { rejection } from './support/rejection.js';

const marker = 'marker passphrase';

t.test('a file gets a header whose data begins where it was asked, and which its passphrase alone opens', async (t) => {
  const file = join(t.testdir(), 'disk');
  await writeFile(file, '');
  await truncate(file, 48 << 20);
  const luks = new Luks({ exec: realExec });
  await luks.format(file, marker, 32n << 20n);
  t.same(await luks.header(file), { dataOffsetBytes: 32n << 20n, keyslots: 1 });
  t.equal(await luks.fits(file, marker), true);
  t.equal(await luks.fits(file, `${marker}\n`), false, 'every byte counts');
  execFileSync('cryptsetup', ['luksErase', '-q', file]);
  t.equal((await luks.header(file)).keyslots, 0);
});

t.test('what is no LUKS device is an error that names it, without the passphrase', async (t) => {
  const file = join(t.testdir(), 'disk');
  await writeFile(file, Buffer.alloc(1 << 20));
  const luks = new Luks({ exec: realExec });
  t.match(await rejection(luks.header(file)), { name: 'MountError', kind: 'GetDiskFormatFailed' });
  const error = await rejection(luks.fits(file, marker));
  t.match(error, { name: 'MountError', message: new RegExp(`could not try the passphrase on ${file}`) });
  t.notMatch(String(error), marker);
});

t.test('a device that is not there is a format that failed', async (t) => {
  const error = await rejection(new Luks({ exec: realExec }).format('/dev/no-such-device', marker, 16n << 20n));
  t.match(error, { kind: 'FormatFailed', program: 'cryptsetup', message: /no-such-device/ });
});

t.test('an open device is found by its name in sysfs, and by its kernel name', async (t) => {
  const block = (name: string, ro: string) => ({ dm: { name: `${name}\n` }, slaves: { rbd4: '' }, ro });
  const sysBlock = t.testdir({ 'dm-0': block('vg-root', '0\n'), 'dm-7': block('cuttle-x', '1\n'), loop0: {} });
  const luks = new Luks({ exec: fakeExec().exec, sysBlock });
  t.same(await luks.find('cuttle-x'), { device: '/dev/dm-7', over: ['rbd4'], readOnly: true });
  t.equal(await luks.find('cuttle-y'), undefined);
  t.equal(await luks.nameOf('/dev/dm-7'), 'cuttle-x');
  for (const device of ['/dev/dm-1', '/dev/loop0', '/dev/mapper/cuttle-x'])
    t.equal(await luks.nameOf(device), undefined);
});

t.test('closing what is not open runs nothing; what is in use is told apart from what fails', async (t) => {
  const sysBlock = t.testdir({ 'dm-7': { dm: { name: 'cuttle-x\n' } } });
  const closing = (exitCode: number) => {
    const { exec, programs } = fakeExec({ cryptsetup: { exitCode } });
    return { luks: new Luks({ exec, sysBlock }), programs };
  };
  const none = closing(0);
  t.equal(await none.luks.close('cuttle-y'), 'closed');
  t.same(none.programs(), []);
  t.equal(await closing(0).luks.close('cuttle-x'), 'closed');
  t.equal(await closing(5).luks.close('cuttle-x'), 'in-use');
  t.match(await rejection(closing(1).luks.close('cuttle-x')), { message: /could not close the LUKS device cuttle-x/ });
});

t.test('a program that is not installed is named with its package', async (t) => {
  const { exec } = fakeExec({ cryptsetup: { exitCode: null, failure: 'not-found' } });
  const luks = new Luks({ exec });
  t.equal(await luks.isInstalled(), false);
  t.match(await rejection(luks.resize('cuttle-x')), { message: /cryptsetup-bin/ });
});

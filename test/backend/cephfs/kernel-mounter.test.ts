import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FakeMounter } from 'mount-utils-ts';
import t, { type Test } from 'tap';
import { KernelMounter, type KernelMounterDependencies } from '../../../src/backend/cephfs/kernel-mounter.js';
import type { MountRequest } from '../../../src/backend/cephfs/mounter.js';
import { Secret } from '../../../src/platform/secret.js';
import { testContext } from '../../platform/test-context.js';
import { fakeExec } from '../fake-exec.js';
import { id } from './fake-mounters.js';

const request: MountRequest = {
  id,
  path: id.path,
  target: '/stage',
  readOnly: false,
  monitors: '[v2:10.0.0.1:3300,v1:10.0.0.1:6789]',
  user: 'k8s',
  key: new Secret('AQDkey=='),
  keyring: undefined,
  options: ['noatime'],
};

/** A node with everything, less what the test takes away. */
function node(t: Test, change: Partial<KernelMounterDependencies> = {}, filesystems = 'nodev\tceph\n') {
  const dir = t.testdir({
    filesystems,
    'mount.ceph': '',
    keyring: '[client.a]\n\tkey = no\n[client.k8s]\n key = AQDring==\n',
  });
  const programs = fakeExec(({ program }) => (program === 'modprobe' ? { exitCode: 1 } : undefined));
  const mounter = new KernelMounter({
    exec: programs.exec,
    mounter: new FakeMounter(),
    kernelRelease: '6.1.0-28-amd64',
    procFilesystems: join(dir, 'filesystems'),
    helpers: ['/nowhere/mount.ceph', join(dir, 'mount.ceph')],
    ...change,
  });
  return { dir, mounter, ...programs };
}

for (const kernel of ['4.17.0', '4.18.0-553.el8', '5.4.0', '6.18.44', '10.0']) {
  t.test(`Linux ${kernel} has no objection`, async (t) => {
    t.equal(await node(t, { kernelRelease: kernel }).mounter.objection(), undefined);
  });
}

for (const kernel of ['3.10.0-1160.el7', '4.4.0', '4.16.18', '4.9']) {
  t.test(`Linux ${kernel} loses the quota, which is said`, async (t) => {
    const objection = await node(t, { kernelRelease: kernel }).mounter.objection();
    t.match(objection, `Linux ${kernel} does not enforce CephFS quotas`);
  });
}

t.test('the module is loaded when it is not there yet; without it there is an objection', async (t) => {
  const without = node(t, {}, 'nodev\tcephx\n\text4\n');
  t.match(await without.mounter.objection(), /no CephFS client \(modprobe ceph fails\)/);
  t.match(without.first(), { program: 'modprobe', args: ['ceph'] });
  const loading = fakeExec();
  t.equal(await node(t, { exec: loading.exec }, '').mounter.objection(), undefined);
  t.equal(loading.runs.length, 1);
});

t.test('a missing helper is named with its package', async (t) => {
  t.match(
    await node(t, { helpers: ['/nowhere'] }).mounter.objection(),
    /mount.ceph is not installed \(apt-get install ceph-common\)/,
  );
});

t.test('mount(8) gets everything but the key, which comes by standard input', async (t) => {
  const { mounter, first } = node(t);
  await mounter.mount(testContext(), request);
  const { program, args, options } = first();
  t.equal(program, 'mount');
  t.strictSame(args, [
    '-t',
    'ceph',
    '-o',
    'name=k8s,secretfile=/dev/stdin,mds_namespace=cephfs,mount_timeout=20,noatime',
    '--',
    '10.0.0.1:6789:/volumes/csi/x',
    '/stage',
  ]);
  t.equal(options.stdin, 'AQDkey==');
});

t.test('without a key, it is taken from the keyring that librados has found', async (t) => {
  const { mounter, first, dir } = node(t);
  await mounter.mount(testContext(), { ...request, key: undefined, keyring: `/nowhere,${join(dir, 'keyring')}` });
  t.equal(first().options.stdin, 'AQDring==');
});

const asked: readonly [Partial<MountRequest>, RegExp][] = [
  [{ readOnly: true }, /mount_timeout=20,ro,noatime/],
  [{ monitors: '[v2:10.0.0.1:3300]' }, /ms_mode=prefer-crc.* 10\.0\.0\.1:3300:\//],
  [{ options: ['ms_mode=secure'] }, /,ms_mode=secure -- 10\.0\.0\.1:3300:\//],
  [{ options: ['ms_mode=legacy'] }, /,ms_mode=legacy -- 10\.0\.0\.1:6789:\//],
];

for (const [change, line] of asked) {
  t.test(`${JSON.stringify(change)} is mounted accordingly`, async (t) => {
    const { mounter, first } = node(t);
    await mounter.mount(testContext(), { ...request, ...change });
    t.match(first().args.join(' '), line);
  });
}

t.test('a failure has the end of what mount(8) says; one that takes too long is UNAVAILABLE', async (t) => {
  const failing = fakeExec(() => ({ exitCode: 32, stderr: 'mount error 13 = Permission denied' }));
  await t.rejects(node(t, { exec: failing.exec }).mounter.mount(testContext(), request), {
    code: 'INTERNAL',
    message: /exit code 32.*it says: mount error 13/,
  });
  const hanging = fakeExec(() => ({ exitCode: null, failure: 'timed-out' }));
  await t.rejects(node(t, { exec: hanging.exec }).mounter.mount(testContext(), request), {
    code: 'UNAVAILABLE',
    message: /monitors at \[v2:10\.0\.0\.1.*file system "cephfs"/,
  });
});

t.test('a volume is served as long as the kernel has it mounted', async (t) => {
  const table = new FakeMounter();
  const { mounter } = node(t, { mounter: table });
  t.equal(await mounter.isServed(id), false);
  await table.mount('u@.cephfs=/volumes/csi/x', '/stage', 'ceph', []);
  t.equal(await mounter.isServed(id), true);
  await t.resolves(mounter.release());
});

t.test('the address of a mount is what the kernel shows of its client in debugfs', async (t) => {
  const status = 'instance: client.4220 (1)10.0.0.7:0/123\nblocklisted: false\n';
  const fsid = '1b6f2c3a-0000-4000-8000-000000000000';
  const { dir, mounter } = node(t, { debugCeph: join(t.testdirName, 'debug') });
  for (const name of ['4220', '4221']) await mkdir(join(dir, 'debug', `${fsid}.client${name}`), { recursive: true });
  await writeFile(join(dir, 'debug', `${fsid}.client4220`, 'status'), status);
  t.equal(await mounter.clientAddress(id, '4220'), '10.0.0.7:0/123');
  t.equal(await mounter.clientAddress(id, '4221'), undefined, 'Linux before 5.9 has no such file');
  t.equal(await mounter.clientAddress(id, '220'), undefined);
});

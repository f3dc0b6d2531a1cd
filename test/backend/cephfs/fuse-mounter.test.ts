import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeMounter } from 'mount-utils-ts';
import t, { type Test } from 'tap';
import { FuseMounter } from '../../../src/backend/cephfs/fuse-mounter.js';
import type { MountRequest } from '../../../src/backend/cephfs/mounter.js';
import { DriverError } from '../../../src/domain/errors.js';
import type { DaemonHost, DaemonStart } from '../../../src/platform/daemons.js';
import { Secret } from '../../../src/platform/secret.js';
import { testContext } from '../../platform/test-context.js';
import { fakeExec } from '../fake-exec.js';
import { entry, id } from './fake-mounters.js';

const idText = 'cephfs:a:cephfs:/volumes/csi/x';

/** Daemons in memory. */
class FakeDaemons implements DaemonHost {
  readonly running = new Map<number, string>();
  readonly stopped: number[] = [];
  started: DaemonStart | undefined;
  onStart: (daemon: DaemonStart) => Promise<void> = async () => Promise.resolve();

  run: DaemonHost['run'] = async (daemon) => {
    this.started = daemon;
    this.running.set(1000 + this.running.size, daemon.args.join(' '));
    await this.onStart(daemon);
    return { exitCode: 0, stdout: '', stderr: '' };
  };

  find: DaemonHost['find'] = async (_program, argument) =>
    Promise.resolve([...this.running].filter(([, args]) => args.includes(argument)).map(([pid]) => pid));

  readonly mounted = new Set<number>();
  hasOpen: DaemonHost['hasOpen'] = async (pid) => Promise.resolve(this.mounted.has(pid));

  stop: DaemonHost['stop'] = async (pid) => {
    this.stopped.push(pid);
    this.running.delete(pid);
    return Promise.resolve();
  };
}

/** Short, because a socket's path has at most 107 bytes. */
function socketDirectory(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'fs-'));
  t.teardown(() => {
    rmSync(directory, { recursive: true });
  });
  return join(directory, 'sockets');
}

function node(t: Test, version = 'ceph version 16.2.15 (618f) pacific (stable)') {
  const target = join(t.testdir({ stage: {} }), 'stage');
  const table = new FakeMounter();
  const daemons = new FakeDaemons();
  const { exec } = fakeExec(() => ({ stdout: version }));
  const mounter = new FuseMounter({
    exec,
    mounter: table,
    daemons,
    fuseDevice: target,
    socketDir: socketDirectory(t),
  });
  const mounted = async () => table.mount(idText, target, 'fuse.ceph-fuse', []);
  daemons.onStart = mounted;
  const request: MountRequest = {
    id,
    path: id.path,
    target,
    readOnly: false,
    monitors: '10.0.0.1',
    user: 'k8s',
    key: new Secret('AQDkey=='),
    keyring: undefined,
    options: ['noatime'],
  };
  return { target, table, daemons, mounter, mounted, request };
}

t.test('a node without /dev/fuse or ceph-fuse is told what to do', async (t) => {
  const { exec } = fakeExec(() => ({ exitCode: null, failure: 'not-found' }));
  const deps = { exec, mounter: new FakeMounter(), daemons: new FakeDaemons(), socketDir: '/nowhere' };
  t.equal(
    await new FuseMounter({ ...deps, fuseDevice: '/nowhere/fuse' }).objection(),
    '/nowhere/fuse is missing (modprobe fuse)',
  );
  const noProgram = new FuseMounter({ ...deps, fuseDevice: '/dev/null' });
  t.equal(await noProgram.objection(), 'ceph-fuse is not installed (apt-get install ceph-fuse)');
  t.equal(await node(t).mounter.objection(), undefined);
});

t.test('the mount table has the volume id as the source: nothing else is the volume', (t) => {
  const { mounter } = node(t);
  t.ok(mounter.isVolume(entry({ fsType: 'fuse.ceph-fuse', source: idText }), id));
  t.ok(mounter.isVolume(entry({ fsType: 'fuse', source: idText }), id));
  t.notOk(mounter.isVolume(entry({ fsType: 'fuse.ceph-fuse', source: `${idText}y` }), id));
  t.notOk(mounter.isVolume(entry({ fsType: 'ext4', source: idText }), id));
  t.end();
});

t.test('ceph-fuse reads nothing from /etc/ceph, leaves no log, and gets its key as /dev/fd/3', async (t) => {
  const { mounter, daemons, request, target } = node(t);
  await mounter.mount(testContext(), request);
  const socket = /--admin_socket=\S+\/sockets\/[\w-]{22}\.[0-9a-f]{12}\.asok/;
  t.equal(
    daemons.started?.args.join(' ').replace(socket, '--admin_socket=SOCKET'),
    '--id k8s --conf /dev/null --mon-host 10.0.0.1 --keyfile /dev/fd/3 --client_mountpoint /volumes/csi/x ' +
      '--client_fs cephfs --client_mount_timeout=15 --log_file= --admin_socket=SOCKET ' +
      `-o fsname=${idText},subtype=ceph-fuse,noatime ${target}`,
  );
  t.equal(daemons.started?.secrets?.[0]?.reveal(), 'AQDkey==');
  t.equal(await mounter.isServed(id), true);
  t.equal(await mounter.isServed({ ...id, path: '/volumes/csi' }), false);
});

t.test('without a key, the keyring that librados has found is named', async (t) => {
  const { mounter, daemons, request } = node(t);
  await mounter.mount(testContext(), { ...request, key: undefined, keyring: '/etc/a,/etc/b', readOnly: true });
  t.match(daemons.started?.args.join(' '), '--keyring /etc/a,/etc/b --client_mountpoint');
  t.match(daemons.started?.args.join(' '), ',subtype=ceph-fuse,ro,noatime');
  t.equal(daemons.started?.secrets, undefined);
});

for (const [version, wants] of [
  ['ceph version 10.2.11 (e4b061b) ', true],
  ['ceph version 12.2.13 (584a20eb) luminous (stable)', true],
  ['ceph version 13.2.10 mimic (stable)', false],
  ['ceph version 18.2.7 reef (stable)', false],
  ['something else', false],
] as const) {
  t.test(`${version}: client_quota is ${wants ? '' : 'not '}asked for`, async (t) => {
    const { mounter, daemons, request } = node(t, version);
    await mounter.mount(testContext(), request);
    t.equal(daemons.started?.args.includes('--client_quota=true'), wants);
    t.equal(
      daemons.started?.args.includes(wants || version.includes('13.') ? '--client_mds_namespace' : '--client_fs'),
      true,
    );
  });
}

t.test('a directory that is not empty is refused before anything is started', async (t) => {
  const { mounter, daemons, request } = node(t);
  const target = t.testdir({ stage: { precious: 'data' } });
  await t.rejects(mounter.mount(testContext(), { ...request, target }), {
    code: 'FAILED_PRECONDITION',
    message: /is not empty \(it has "stage"\)/,
  });
  t.equal(daemons.started, undefined);
});

t.test('a start that fails ends what it has left, and no other daemon of the volume', async (t) => {
  const { mounter, daemons, table, mounted, request, target } = node(t);
  daemons.running.set(7, `-o fsname=${idText},subtype=ceph-fuse /other/stage`);
  daemons.onStart = async () => {
    await mounted();
    throw new DriverError('INTERNAL', 'it was not ready');
  };
  await t.rejects(mounter.mount(testContext(), request), { code: 'INTERNAL', message: 'it was not ready' });
  t.strictSame([...daemons.running.keys()], [7]);
  t.notOk(await table.isMountPoint(target));
});

t.test('a daemon that says it serves and has not mounted is an error', async (t) => {
  const { mounter, daemons, request } = node(t);
  daemons.onStart = async () => Promise.resolve();
  await t.rejects(mounter.mount(testContext(), request), { code: 'INTERNAL', message: /without mounting/ });
  t.equal(daemons.running.size, 0);
});

t.test('release waits until the daemon has ended, but not for those of other mounts', async (t) => {
  const { mounter, daemons, table, request, target } = node(t);
  await mounter.mount(testContext(), request);
  await mounter.release(testContext(), id);
  t.ok(await table.isMountPoint(target), 'a daemon for each mount: nothing to wait for');
  await table.unmount(target);
  let isOver = false;
  const releasing = mounter.release(testContext(), id).then(() => {
    isOver = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 60));
  t.equal(isOver, false);
  daemons.running.clear();
  await releasing;
  t.strictSame(daemons.stopped, [], 'it ends by itself');
});

t.test('a daemon that a killed driver has started mounts late, and not on top of the new one', async (t) => {
  const { table, daemons, mounter, mounted, request, target } = node(t);
  daemons.running.set(7, `-o fsname=${idText},subtype=ceph-fuse ${target}`);
  const late = setTimeout(() => {
    daemons.mounted.add(7);
    void mounted();
  }, 60);
  t.teardown(() => {
    clearTimeout(late);
  });
  await mounter.mount(testContext(), request);
  t.equal((await table.list()).filter((one) => one.mountPoint === target).length, 1);
});

t.test('a daemon that was unmounted and still writes is not waited for', async (t) => {
  const { daemons, mounter, request, target } = node(t);
  daemons.running.set(7, `-o fsname=${idText},subtype=ceph-fuse ${target}`);
  daemons.mounted.add(7);
  const startMs = Date.now();
  await mounter.mount(testContext(), request);
  t.ok(Date.now() - startMs < 1_000);
  t.strictSame(daemons.stopped, []);
});

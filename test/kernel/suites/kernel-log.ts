import { randomBytes } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { Mounter } from 'mount-utils-ts';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { KernelMounter } from '../../../src/backend/cephfs/kernel-mounter.js';
import { KrbdMapper } from '../../../src/backend/rbd/krbd-mapper.js';
import type { MapRequest } from '../../../src/backend/rbd/mapper.js';
import { kernelLog } from '../../../src/ceph/native/kernel-log.js';
import { isKernelWriteUnderWay, kernelWriter } from '../../../src/ceph/native/kernel-write.js';
import type { CephfsVolumeId, RbdVolumeId } from '../../../src/domain/volume-id.js';
import { runProgram } from '../../../src/platform/exec.js';
import { Secret } from '../../../src/platform/secret.js';
import { makeCephxKey } from '../../domain/make-cephx-key.js';
import { useCluster } from '../../harness/cluster.js';
import { testContext } from '../../platform/test-context.js';
import { monitorAskingFor } from '../fake-monitor.js';
import { show } from '../process-accounting.js';

/*
 * What the kernel logs when it can't map or mount, in the error's own words. The mappers are called by themselves: the driver would see most of
 * this before it asks the kernel.
 */

t.setTimeout(580_000);

/** A feature that no kernel has, so far: ERASURE_CODE_PLUGINS_V2. */
const unknownFeature = 1n << 44n;
const shortTimeout = ['mount_timeout=5'];

const cluster = await useCluster();
const pool = `log-${randomBytes(4).toString('hex')}`;
await cluster.createPool(pool);
t.teardown(async () => {
  await cluster.deletePool(pool);
  await cluster.stop();
});
const mapper = new KrbdMapper({ exec: runProgram, write: kernelWriter(), kernelLog });
await runProgram('modprobe', ['-a', 'rbd', 'ceph']);
await cluster.rbd(['create', `${pool}/plain`, '--size', '64M', '--image-feature', 'layering,exclusive-lock']);
const journaled = ['--image-feature', 'layering,exclusive-lock,journaling'];
await cluster.rbd(['create', `${pool}/journaled`, '--size', '64M', ...journaled]);
// The console shows how the kernel puts it.
t.teardown(async () =>
  show(
    (await runProgram('dmesg', ['-t'])).stdout
      .split('\n')
      .filter((line) => /ceph|rbd/.test(line))
      .slice(0, 60),
  ),
);

function requestFor(image: string, change: Partial<MapRequest> = {}): MapRequest {
  const id: RbdVolumeId = { backend: 'rbd', clusterId: 'default', pool, namespace: '', image };
  const key = new Secret(cluster.adminKey);
  const monitors = cluster.monHost;
  return {
    id,
    readOnly: false,
    monitors,
    user: 'admin',
    key,
    keyring: undefined,
    features: 1n,
    options: [],
    ...change,
  };
}

async function refused(t: Test, request: MapRequest, code: string, says: RegExp): Promise<void> {
  const error: unknown = await mapper.map(testContext(), request).catch((caught: unknown) => caught);
  t.comment(String(error));
  t.match(error, { code, message: says });
  t.notOk(String(error).includes(cluster.adminKey));
}

t.test('an image that was mapped: neither sysfs nor the keyrings show its key', async (t) => {
  const { device } = await mapper.map(testContext(), requestFor('plain'));
  const config = await readFile(`/sys/bus/rbd/devices/${device.replace('/dev/rbd', '')}/config_info`, 'utf8');
  t.match(config, /name=admin,key=cuttle-/);
  t.notOk(config.includes(cluster.adminKey));
  t.notMatch(await readFile('/proc/keys', 'utf8'), /cuttle-/, 'the key has gone with its thread');
  await mapper.unmap(testContext(), requestFor('plain').id, []);
  t.strictSame(await mapper.find(requestFor('plain').id), []);
});

t.test('two that map one image at once: each learns which device is its own', async (t) => {
  const other = new KrbdMapper({ exec: runProgram, write: kernelWriter(), kernelLog });
  const request = requestFor('plain');
  const both = await Promise.all([mapper, other].map(async (one) => one.map(testContext(), request)));
  t.equal(new Set(both.map(({ device }) => device)).size, 2);
  t.equal((await mapper.find(request.id)).length, 2);
  await mapper.unmap(testContext(), request.id, []);
  t.strictSame(await readdir('/sys/bus/rbd/devices'), []);
});

t.test('a read-only map, through the first messenger and through the second', async (t) => {
  for (const options of [[], ['ms_mode=crc'], ['ms_mode=secure']]) {
    const mapping = await mapper.map(testContext(), requestFor('plain', { readOnly: true, options }));
    t.match(await mapper.find(requestFor('plain').id), [{ device: mapping.device, readOnly: true }]);
    await mapper.unmap(testContext(), requestFor('plain').id, ['force']);
  }
});

t.test(
  'a map that hangs because the OSDs are silent ends with its request, and is taken back when it comes about',
  async (t) => {
    await cluster.ceph(['osd', 'set', 'pause']);
    t.teardown(async () => cluster.ceph(['osd', 'unset', 'pause']));
    const ctx = testContext(AbortSignal.timeout(8_000));
    const error: unknown = await mapper.map(ctx, requestFor('plain')).catch((caught: unknown) => caught);
    t.match(error, { code: 'UNAVAILABLE', message: /was ended \(aborted\)/ });
    t.ok(isKernelWriteUnderWay());
    await cluster.ceph(['osd', 'unset', 'pause']);
    for (const end = Date.now() + 120_000; ctx.lines.length === 0 && Date.now() < end;) await sleep(100);
    t.match(ctx.lines, [{ msg: /given up: it is unmapped again/ }]);
    t.strictSame(await readdir('/sys/bus/rbd/devices'), []);
  },
);

t.test('an image feature that the kernel lacks is named', async (t) => {
  await refused(
    t,
    requestFor('journaled'),
    'FAILED_PRECONDITION',
    /kernel log says:.*image features journaling: leave/,
  );
});

t.test('an image and a pool that are not there', async (t) => {
  await refused(t, requestFor('absent'), 'NOT_FOUND', /kernel log says: there is no image \S*absent/);
  const elsewhere = { ...requestFor('plain').id, pool: 'no-such-pool' };
  await refused(t, requestFor('plain', { id: elsewhere }), 'NOT_FOUND', /there is no pool no-such-pool/);
});

t.test('a key that is not the user’s', async (t) => {
  const key = new Secret(makeCephxKey());
  await refused(t, requestFor('plain', { key, options: shortTimeout }), 'UNAUTHENTICATED', /monitors refuse the user/);
});

t.test('a port where no monitor listens, for both messengers', async (t) => {
  for (const monitors of ['127.0.0.1:6799', '[v2:127.0.0.1:6799]']) {
    const request = requestFor('plain', { monitors, options: shortTimeout });
    await refused(t, request, 'UNAVAILABLE', /no monitor answers at 127\.0\.0\.1:6799 \(mon0\)/);
  }
});

t.test('a cluster that asks for a feature which this kernel lacks', async (t) => {
  const { server, port } = await monitorAskingFor(unknownFeature);
  t.teardown(() => server.close());
  const request = requestFor('plain', { monitors: `127.0.0.1:${port}`, options: shortTimeout });
  await refused(t, request, 'FAILED_PRECONDITION', /lacks features.*missing 0x100000000000/);
});

t.test('a kernel mount of CephFS: no monitor, and a key that is not the user’s', async (t) => {
  const mounter = new KernelMounter({ exec: runProgram, mounter: new Mounter({ exec: runProgram }), kernelLog });
  const id: CephfsVolumeId = { backend: 'cephfs', clusterId: 'default', fsName: cluster.fsName, path: '/' };
  const target = t.testdir();
  const good = { id, path: '/', target, readOnly: false, user: 'admin', keyring: undefined, options: [] };
  const wrongKey = { ...good, monitors: cluster.monHost, key: new Secret(makeCephxKey()) };
  const silent = { ...good, monitors: '127.0.0.1:6799', key: new Secret(cluster.adminKey), options: shortTimeout };
  for (const [request, says] of [
    [wrongKey, /kernel log says: the monitors refuse the user/],
    [silent, /kernel log says: no monitor answers at 127\.0\.0\.1:6799/],
  ] as const) {
    const error: unknown = await mounter.mount(testContext(), request).catch((caught: unknown) => caught);
    t.comment(String(error));
    t.match(error, { message: says });
  }
});

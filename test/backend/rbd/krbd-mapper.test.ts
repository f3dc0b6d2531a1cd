import { constants } from 'node:os';
import { join } from 'node:path';
import type { ExecResult } from 'mount-utils-ts';
import t, { type Test } from 'tap';
import { KrbdMapper } from '../../../src/backend/rbd/krbd-mapper.js';
import type { MapRequest } from '../../../src/backend/rbd/mapper.js';
import type { RbdVolumeId } from '../../../src/domain/volume-id.js';
import type { KernelWriter } from '../../../src/platform/kernel.js';
import { Secret } from '../../../src/platform/secret.js';
import { testContext } from '../../platform/test-context.js';
import { fakeExec, type ProgramRun } from '../fake-exec.js';

const id: RbdVolumeId = { backend: 'rbd', clusterId: 'a', pool: 'ssd', namespace: '', image: 'csi-vol-1' };
const inNamespace = { ...id, namespace: 'team' };
const marker = 'marker-key-7d2a';
const request: MapRequest = {
  id,
  readOnly: false,
  monitors: '10.0.0.1,10.0.0.2',
  user: 'kube',
  key: new Secret(marker),
  keyring: undefined,
  features: 1n,
  options: [],
};

const image = (name: string, pool: string, more: Record<string, string> = {}) => ({
  name: `${name}\n`,
  pool: `${pool}\n`,
  ...more,
});

interface Machine {
  readonly devices?: Record<string, Record<string, string>>;
  readonly features?: string;
  readonly udev?: boolean;
  readonly answer?: (run: ProgramRun) => Partial<ExecResult> | undefined;
}

/** These machines' kernels take no maps by way of sysfs: the program rbd is what is tested here. */
const write: KernelWriter = async () => Promise.resolve({ wrote: false, step: 'open', errno: constants.errno.ENOENT });

/** A mapper on a machine whose sysfs is a directory of the test. */
function krbd(t: Test, machine: Machine = {}) {
  const root = t.testdir({
    rbd: {
      devices: machine.devices ?? {},
      ...(machine.features === undefined ? {} : { supported_features: machine.features }),
    },
    ...(machine.udev === true ? { control: '' } : {}),
  });
  const { exec, runs, first } = fakeExec(machine.answer);
  const mapper = new KrbdMapper({ exec, write, sysBusRbd: join(root, 'rbd'), udevControl: join(root, 'control') });
  return { mapper, runs, first };
}

t.test('an image is found by name, pool and namespace, and a mapped snapshot of it is not', async (t) => {
  const { mapper } = krbd(t, {
    devices: {
      '0': image('csi-vol-1', 'ssd', { pool_ns: '\n', current_snap: '-\n' }),
      '1': image('csi-vol-1', 'hdd'),
      '2': image('csi-vol-1', 'ssd', { pool_ns: 'team\n' }),
      '3': image('csi-vol-1', 'ssd', { current_snap: 'snap-1\n' }),
      '4': image('csi-vol-10', 'ssd'),
      '15': image('csi-vol-1', 'ssd'), // as a kernel before 4.19 shows it
    },
  });
  t.strictSame((await mapper.find(id)).map(({ device }) => device).sort(), ['/dev/rbd0', '/dev/rbd15']);
  t.strictSame(await mapper.find(inNamespace), [{ device: '/dev/rbd2', readOnly: false }]);
  t.strictSame(await mapper.find({ ...id, image: 'csi-vol-2' }), []);
  t.ok(await mapper.isImage('/dev/rbd0', id));
  for (const device of ['/dev/rbd1', '/dev/rbd3', '/dev/rbd99', '/dev/rbd0p1', '/dev/loop0'])
    t.notOk(await mapper.isImage(device, id), device);
});

t.test('map calls rbd with everything it needs, and the key goes to standard input alone', async (t) => {
  const { mapper, runs, first } = krbd(t, { udev: true, answer: () => ({ stdout: '/dev/rbd7\n' }) });
  t.strictSame(await mapper.map(testContext(), request), { device: '/dev/rbd7', readOnly: false });
  t.equal(runs.length, 1);
  t.equal(first().program, 'rbd');
  t.equal(
    first().args.join(' '),
    'device map ssd/csi-vol-1 --device-type krbd --conf /dev/null --mon-host 10.0.0.1,10.0.0.2 --id kube --keyfile /dev/stdin',
  );
  t.equal(first().options.stdin, marker);
  t.notOk(first().args.join(' ').includes(marker));
});

t.test('map says noudev where no udev listens, after the options asked for, and hands on read-only', async (t) => {
  const { mapper, first } = krbd(t, { answer: () => ({ stdout: '/dev/rbd0' }) });
  const options = ['noshare', 'queue_depth=64'];
  const readOnly = { ...request, id: inNamespace, readOnly: true, key: undefined, keyring: '/k', options };
  t.strictSame(await mapper.map(testContext(), readOnly), { device: '/dev/rbd0', readOnly: true });
  const line = first().args.join(' ');
  t.match(
    line,
    /^device map ssd\/team\/csi-vol-1 .* --id kube --keyring \/k --read-only --options noshare,queue_depth=64,noudev$/,
  );
  t.notMatch(line, /--keyfile/);
  t.equal(first().options.stdin, undefined);
});

const failures: readonly [string, Partial<ExecResult>, string, RegExp][] = [
  [
    'a missing image',
    { exitCode: 2 },
    'NOT_FOUND',
    /^rbd device map of ssd\/csi-vol-1 of cluster "a" failed.*does not exist/,
  ],
  ['a refused key', { exitCode: 1 }, 'UNAUTHENTICATED', /check userID, userKey/],
  ['silent monitors', { exitCode: 110 }, 'UNAVAILABLE', /did not answer in time; the kernel log/],
  [
    'a map that was ended',
    { exitCode: null, failure: 'timed-out' },
    'UNAVAILABLE',
    /monitors at 10\.0\.0\.1,10\.0\.0\.2/,
  ],
  ['no program', { exitCode: null, failure: 'not-found' }, 'FAILED_PRECONDITION', /not installed/],
  ['something else', { exitCode: 22, stderr: 'invalid option' }, 'INTERNAL', /exit code 22\); it says: invalid option/],
  ['an answer that is no device', { stdout: 'rbd: warning' }, 'INTERNAL', /exit code 0/],
];

for (const [what, result, code, message] of failures) {
  t.test(`${what} at map is ${code}, without the key`, async (t) => {
    const { mapper } = krbd(t, { answer: () => result });
    const error = await mapper.map(testContext(), request).catch((caught: unknown) => caught);
    t.match(error, { code, message });
    t.notOk((error as Error).message.includes(marker));
  });
}

t.test('a kernel that lacks features of the image objects, naming them and the line to change', async (t) => {
  const { mapper } = krbd(t, { features: '0x1\n' });
  t.equal(await mapper.objection(1n), undefined);
  t.match(
    await mapper.objection(61n),
    /does not support the image features exclusive-lock, object-map, fast-diff, deep-flatten: leave them out of imageFeatures in the StorageClass/,
  );
  t.notMatch(await mapper.objection(61n), /layering/);
  const old = krbd(t, {});
  t.equal(await old.mapper.objection(61n), undefined, 'a kernel that does not say is not doubted');
});

t.test('a missing module and a missing program are objections that say what is missing', async (t) => {
  const { exec } = fakeExec(() => ({ exitCode: 1 }));
  const noModule = new KrbdMapper({ exec, write, sysBusRbd: '/no/such/sysfs' });
  t.match(await noModule.objection(1n), /no rbd module/);
  const missing = (run: ProgramRun): Partial<ExecResult> =>
    run.program === 'rbd' ? { exitCode: null, failure: 'not-found' } : {};
  t.match(
    await krbd(t, { answer: missing }).mapper.objection(1n),
    /rbd is not installed \(apt-get install ceph-common\)/,
  );
});

t.test('unmap names each device of the image, with its options, and needs no key', async (t) => {
  const { mapper, runs, first } = krbd(t, { devices: { '4': image('csi-vol-1', 'ssd'), '5': image('other', 'ssd') } });
  await mapper.unmap(testContext(), id, ['force']);
  t.equal(runs.length, 1);
  t.equal(first().args.join(' '), 'device unmap /dev/rbd4 --device-type krbd --options force,noudev');
  t.equal(first().options.stdin, undefined);
  await mapper.unmap(testContext(), { ...id, image: 'never-mapped' }, []);
  t.equal(runs.length, 1, 'what is not mapped needs no program');
});

t.test('unmap of a device in use is FAILED_PRECONDITION, any other failure INTERNAL', async (t) => {
  const devices = { '4': image('csi-vol-1', 'ssd') };
  await t.rejects(krbd(t, { devices, answer: () => ({ exitCode: 16 }) }).mapper.unmap(testContext(), id, []), {
    code: 'FAILED_PRECONDITION',
    message: /^\/dev\/rbd4 \(ssd\/csi-vol-1\) is still open on this node.*lsof/,
  });
  const broken = krbd(t, { devices, answer: () => ({ exitCode: 5, stderr: 'I/O' }) });
  await t.rejects(broken.mapper.unmap(testContext(), id, []), { code: 'INTERNAL', message: /exit code 5\): I\/O/ });
});

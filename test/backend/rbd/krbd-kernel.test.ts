import { writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { MapRequest } from '../../../src/backend/rbd/mapper.js';
import { DriverError } from '../../../src/domain/errors.js';
import type { KernelAnswer, KernelLog } from '../../../src/platform/kernel.js';
import { Secret } from '../../../src/platform/secret.js';
import { makeCephxKey } from '../../domain/make-cephx-key.js';
import { testContext } from '../../platform/test-context.js';
import { rbdBus } from './fake-rbd-bus.js';

const key = makeCephxKey();
const request: MapRequest = {
  id: { backend: 'rbd', clusterId: 'a', pool: 'ssd', namespace: 'team', image: 'csi-vol-1' },
  readOnly: false,
  monitors: '10.0.0.1:6789',
  user: 'kube',
  key: new Secret(key),
  keyring: undefined,
  features: 1n,
  options: [],
};
const { errno } = constants;
const answering = (step: 'key' | 'open' | 'write', number: number): KernelAnswer => ({
  wrote: false,
  step,
  errno: number,
});

/** Like an RPC whose caller has gone. */
function hasty() {
  const controller = new AbortController();
  const context = testContext(controller.signal);
  return {
    context,
    leave: () => {
      controller.abort(new DriverError('CANCELLED', 'the caller has gone'));
    },
  };
}

/** A write that ends when the test says so. */
function hanging() {
  let release = (): void => undefined;
  const held = new Promise<undefined>((resolve) => {
    release = () => {
      resolve(undefined);
    };
  });
  return { held, release };
}

function logOf(...lines: string[]): KernelLog {
  return {
    mark: async () =>
      Promise.resolve({ lines: async () => Promise.resolve(lines), close: async () => Promise.resolve() }),
  };
}

t.test('an image is mapped and unmapped without a process; the key goes beside what is written', async (t) => {
  const { mapper, writes, programs, linesTo } = rbdBus(t);
  t.strictSame(await mapper.map(testContext(), request), { device: '/dev/rbd0', readOnly: false });
  const [added] = writes;
  t.equal(added?.payload, key);
  t.notOk(added?.text.includes(key));
  t.match(added?.text, `key=${added?.keyName ?? '?'},`);
  t.strictSame(await mapper.find(request.id), [{ device: '/dev/rbd0', readOnly: false }]);
  await mapper.unmap(testContext(), request.id, ['force']);
  t.strictSame(linesTo('remove_single_major'), ['0 force']);
  t.strictSame(await mapper.find(request.id), []);
  t.equal(await mapper.objection(1n), undefined);
  t.strictSame(programs.runs, []);
});

t.test('without a key, it is taken from the keyring that librados has found', async (t) => {
  const { mapper, writes, sysBusRbd } = rbdBus(t);
  const keyring = join(sysBusRbd, 'keyring');
  await writeFile(keyring, `[client.kube]\n\tkey = ${key}\n`);
  await mapper.map(testContext(), { ...request, key: undefined, keyring });
  t.equal(writes[0]?.payload, key);
});

t.test('of two mappings of one image each map learns its own', async (t) => {
  const { mapper } = rbdBus(t);
  t.equal((await mapper.map(testContext(), request)).device, '/dev/rbd0');
  t.equal((await mapper.map(testContext(), request)).device, '/dev/rbd1');
});

t.test(
  "an image of the same name in another cluster is another volume's, and both are mapped beside each other",
  async (t) => {
    const { mapper, linesTo } = rbdBus(t);
    const other: MapRequest = { ...request, id: { ...request.id, clusterId: 'b' }, monitors: '10.1.0.1:6789' };
    const { device } = await mapper.map(testContext(), request);
    t.strictSame(await mapper.find(other.id), []);
    t.equal(await mapper.isImage(device, other.id), false);
    t.equal((await mapper.map(testContext(), other)).device, '/dev/rbd1');
    t.match(await mapper.find(request.id), [{ device: '/dev/rbd0' }]);
    await mapper.unmap(testContext(), other.id, []);
    t.strictSame(linesTo('remove_single_major'), ['1']);
  },
);

t.test('what an administrator has mapped counts by its name, and shows which image it is', async (t) => {
  const { mapper, sysBusRbd } = rbdBus(t);
  await mapper.map(testContext(), request);
  const directory = join(sysBusRbd, 'devices', '0');
  await writeFile(join(directory, 'config_info'), '10.0.0.1:6789 name=admin,key=client.admin ssd csi-vol-1 -\n');
  await writeFile(join(directory, 'image_id'), '10f74b0dc51\n');
  t.strictSame(await mapper.find(request.id), [{ device: '/dev/rbd0', readOnly: false, imageId: '10f74b0dc51' }]);
});

t.test('a kernel or container without keys: the program rbd maps', async (t) => {
  const { mapper, programs } = rbdBus(t, () => answering('key', errno.ENOSYS));
  await t.rejects(mapper.map(testContext(), request), { message: /exit code 0/ });
  t.match(programs.first(), { program: 'rbd', args: ['device', 'map'] });
});

const answers: readonly [string, KernelAnswer, string[], string, RegExp][] = [
  [
    'a missing image',
    answering('write', errno.ENOENT),
    [],
    'NOT_FOUND',
    /^the kernel can't map image ssd\/team\/csi-vol-1 of cluster "a" \(ENOENT\): the image or its pool/,
  ],
  ['a refused key', answering('write', errno.EACCES), [], 'UNAUTHENTICATED', /check userID, userKey/],
  ['silent monitors', answering('write', errno.ETIMEDOUT), [], 'UNAVAILABLE', /did not answer in time; the kernel log/],
  [
    'a monitor that is down beside a missing image',
    answering('write', errno.ENOENT),
    ['libceph: mon1 (1)10.0.0.2:6789 socket closed (con state V1_BANNER)'],
    'NOT_FOUND',
    /does not exist; the kernel log says: no monitor answers at 10\.0\.0\.2:6789 \(mon1\)/,
  ],
  [
    'an option that the kernel does not take',
    answering('write', errno.EINVAL),
    ['libceph: bad option at x', 'usb 1: new'],
    'INTERNAL',
    /EINVAL\); the kernel log says: libceph: bad option at x$/,
  ],
  ['a bus that is read-only', answering('open', errno.EROFS), [], 'FAILED_PRECONDITION', /EROFS.*privileged/],
];

for (const [what, answer, lines, code, message] of answers) {
  t.test(`${what} is ${code}`, async (t) => {
    const { mapper } = rbdBus(t, () => answer, { kernelLog: logOf(...lines) });
    const error: unknown = await mapper.map(testContext(), request).catch((caught: unknown) => caught);
    t.match(error, { code, message });
    t.notOk(String(error).includes(key));
  });
}

t.test('a map that hangs: the request ends, a repeated one joins it and gets its device', async (t) => {
  const { held, release } = hanging();
  const { mapper, linesTo, begun } = rbdBus(t, async () => held);
  const first = hasty();
  const given = mapper.map(first.context, request);
  await begun();
  first.leave();
  await t.rejects(given, { code: 'UNAVAILABLE', message: /was ended \(aborted\).*10\.0\.0\.1:6789.*OSDs up/ });
  t.strictSame(await mapper.find(request.id), []);
  const again = mapper.map(testContext(), request);
  await t.rejects(mapper.map(testContext(), { ...request, readOnly: true }), { code: 'ABORTED' });
  release();
  t.strictSame(await again, { device: '/dev/rbd0', readOnly: false, begunBefore: true });
  t.equal(linesTo('add_single_major').length, 1);
  t.strictSame(await mapper.find(request.id), [{ device: '/dev/rbd0', readOnly: false }]);
});

t.test('a map that comes about when nobody waits any more is taken back, and only then made anew', async (t) => {
  const { held, release } = hanging();
  const unmapping = hanging();
  const { mapper, linesTo, isMapped, begun } = rbdBus(t, async ({ file }) =>
    file === 'add_single_major' ? held : unmapping.held,
  );
  const first = hasty();
  const given = mapper.map(first.context, request);
  await begun();
  first.leave();
  await t.rejects(given, { code: 'UNAVAILABLE' });
  release();
  while (linesTo('remove_single_major').length === 0) await setImmediate();
  t.ok(isMapped('0'));
  t.strictSame(await mapper.find(request.id), [], 'it is not there to be used');
  const again = mapper.map(testContext(), request);
  await sleep(20);
  t.equal(linesTo('add_single_major').length, 1);
  unmapping.release();
  t.strictSame(await again, { device: '/dev/rbd1', readOnly: false });
  t.notOk(isMapped('0'));
  t.match(first.context.lines, [{ device: '/dev/rbd0', msg: /unmapped again/ }]);
});

t.test('a map that takes too long is UNAVAILABLE, and what the kernel logs makes it plainer', async (t) => {
  const missing =
    "libceph: mon0 (1)10.0.0.1:6789 feature set mismatch, my 106b84a842a42 < server's 40106b84a842a42, missing 400000000000000";
  const { held, release } = hanging();
  t.teardown(release);
  for (const [lines, code, message] of [
    [[], 'UNAVAILABLE', /was ended \(timed-out\)/],
    [
      [missing],
      'FAILED_PRECONDITION',
      /CRUSH_TUNABLES5; for CRUSH_TUNABLES5 use Linux 4\.5 or newer, or ceph osd crush tunables hammer/,
    ],
  ] as const) {
    const { mapper } = rbdBus(t, async () => held, { timeoutMs: 20, kernelLog: logOf(...lines) });
    await t.rejects(mapper.map(testContext(), request), { code, message });
  }
});

t.test('a container whose /dev is not the node’s: the image is unmapped again, and the error says so', async (t) => {
  const { mapper, isMapped } = rbdBus(t, undefined, { deviceNumber: async () => Promise.resolve(undefined) });
  await t.rejects(mapper.map(testContext(), request), {
    code: 'FAILED_PRECONDITION',
    message: /\/dev\/rbd0.*host's \/dev/,
  });
  t.notOk(isMapped('0'));
});

t.test('a device that udev has open for a moment is unmapped all the same', async (t) => {
  let refusals = 2;
  const { mapper, isMapped } = rbdBus(t, ({ file }) =>
    file === 'remove_single_major' && refusals-- > 0 ? answering('write', errno.EBUSY) : undefined,
  );
  await mapper.map(testContext(), request);
  await mapper.unmap(testContext(), request.id, []);
  t.notOk(isMapped('0'));
});

t.test('a device that stays in use is FAILED_PRECONDITION, what the kernel refuses otherwise INTERNAL', async (t) => {
  for (const [number, code, message] of [
    [errno.EBUSY, 'FAILED_PRECONDITION', /^\/dev\/rbd0 \(ssd\/team\/csi-vol-1\) is still open on this node.*lsof/],
    [errno.EIO, 'INTERNAL', /can't be unmapped \(EIO\)/],
  ] as const) {
    const { mapper } = rbdBus(t, ({ file }) =>
      file === 'remove_single_major' ? answering('write', number) : undefined,
    );
    await mapper.map(testContext(), request);
    await t.rejects(mapper.unmap(testContext(), request.id, []), { code, message });
  }
});

t.test('an unmap that an earlier request has begun is waited for', async (t) => {
  let asked = 0;
  const bus = rbdBus(t, ({ file }) => {
    if (file !== 'remove_single_major') return undefined;
    asked += 1;
    return asked < 3 ? answering('write', errno.EINPROGRESS) : undefined;
  });
  await bus.mapper.map(testContext(), request);
  await bus.mapper.unmap(testContext(), request.id, []);
  t.equal(asked, 3);
});

t.test('an unmap that hangs is UNAVAILABLE', async (t) => {
  const { held, release } = hanging();
  t.teardown(release);
  const { mapper } = rbdBus(t, async ({ file }) => (file === 'remove_single_major' ? held : undefined), {
    timeoutMs: 50,
  });
  await mapper.map(testContext(), request);
  await t.rejects(mapper.unmap(testContext(), request.id, []), {
    code: 'UNAVAILABLE',
    message: /has not ended unmapping \/dev\/rbd0/,
  });
});

t.test('an unmap option that only the program knows goes to the program', async (t) => {
  const { mapper, programs } = rbdBus(t);
  await mapper.map(testContext(), request);
  await mapper.unmap(testContext(), request.id, ['tomorrow']);
  t.equal(programs.first().args.join(' '), 'device unmap /dev/rbd0 --device-type krbd --options tomorrow,noudev');
});

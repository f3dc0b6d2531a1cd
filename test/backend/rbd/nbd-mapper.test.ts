import { join } from 'node:path';
import type { ExecResult } from 'mount-utils-ts';
import t, { type Test } from 'tap';
import type { MapRequest } from '../../../src/backend/rbd/mapper.js';
import { NbdMapper } from '../../../src/backend/rbd/nbd-mapper.js';
import type { RbdVolumeId } from '../../../src/domain/volume-id.js';
import { type DaemonHost, type DaemonStart, localDaemons } from '../../../src/platform/daemons.js';
import { Secret } from '../../../src/platform/secret.js';
import { testContext } from '../../platform/test-context.js';
import { fakeExec, type ProgramRun } from '../fake-exec.js';

const id: RbdVolumeId = { backend: 'rbd', clusterId: 'a', pool: 'ssd', namespace: '', image: 'csi-vol-1' };
const marker = 'marker-key-51c0';
const request: MapRequest = {
  id,
  readOnly: false,
  monitors: '10.0.0.1',
  user: 'kube',
  key: new Secret(marker),
  keyring: undefined,
  features: 125n,
  options: ['try-netlink', 'timeout=30'],
};

const commandLine = (...args: string[]) => ({ cmdline: `${args.join('\0')}\0` });

/** Two images mapped, one of them read-only; a process id that another program has meanwhile; a free device. */
const machine = {
  block: {
    nbd0: { pid: '100\n', ro: '0\n' },
    nbd1: { pid: '101\n', ro: '1\n' },
    nbd2: { pid: '102\n', ro: '0\n' },
    nbd3: {},
    nbd4: { pid: '999\n' },
    sda: { pid: '100\n' },
  },
  proc: {
    '100': commandLine('/usr/bin/rbd-nbd', 'map', 'ssd/csi-vol-1', '--id', 'kube'),
    '101': commandLine('rbd-nbd', 'map', 'ssd/team/csi-vol-1'),
    '102': commandLine('vim', 'ssd/csi-vol-1'),
  },
};

function nbd(t: Test, answer?: (run: ProgramRun) => Partial<ExecResult> | undefined) {
  const root = t.testdir(machine);
  const { exec, runs, first } = fakeExec(answer);
  const started: DaemonStart[] = [];
  const daemons: DaemonHost = {
    ...localDaemons,
    run: async (daemon) => {
      started.push(daemon);
      return Promise.resolve({ exitCode: 0, stdout: '', stderr: '', ...answer?.({ ...daemon, options: {} }) });
    },
  };
  const mapper = new NbdMapper({ exec, daemons, sysBlock: join(root, 'block'), proc: join(root, 'proc') });
  return { mapper, runs, started, first };
}

t.test("an image is found by the command line of the device's process, whole words only", async (t) => {
  const { mapper } = nbd(t);
  t.strictSame(await mapper.find(id), [{ device: '/dev/nbd0', readOnly: false }]);
  t.strictSame(await mapper.find({ ...id, namespace: 'team' }), [{ device: '/dev/nbd1', readOnly: true }]);
  t.strictSame(await mapper.find({ ...id, image: 'csi-vol' }), []);
  t.ok(await mapper.isImage('/dev/nbd0', id));
  for (const device of ['/dev/nbd1', '/dev/nbd2', '/dev/nbd3', '/dev/nbd4', '/dev/sda', '/dev/nbd0p1'])
    t.notOk(await mapper.isImage(device, id), device);
});

t.test('map calls rbd-nbd with each option as one of its own, and the key goes to a file of its own', async (t) => {
  const { mapper, started } = nbd(t, () => ({ stdout: '/dev/nbd5\n' }));
  t.strictSame(await mapper.map(testContext(), request), { device: '/dev/nbd5', readOnly: false });
  t.equal(started[0]?.program, 'rbd-nbd');
  t.equal(
    started[0]?.args.join(' '),
    'map ssd/csi-vol-1 --conf /dev/null --mon-host 10.0.0.1 --id kube --keyfile /dev/fd/3 --try-netlink --timeout=30',
  );
  t.equal(started[0]?.secrets?.[0]?.reveal(), marker);
  await mapper.map(testContext(), { ...request, readOnly: true, options: [] });
  t.match(started[1]?.args.join(' '), /--keyfile \/dev\/fd\/3 --read-only$/);
});

t.test('a failed map says what rbd-nbd says, without the key', async (t) => {
  const { mapper } = nbd(t, () => ({ exitCode: 2, stderr: 'rbd-nbd: failed to open image' }));
  const error = await mapper.map(testContext(), request).catch((caught: unknown) => caught);
  t.match(error, { code: 'NOT_FOUND', message: /^rbd-nbd map of ssd\/csi-vol-1 .*failed to open image/ });
  t.notOk((error as Error).message.includes(marker));
});

t.test('unmap names the device, is fine with what is gone meanwhile, and refuses what is in use', async (t) => {
  const quiet = nbd(t);
  await quiet.mapper.unmap(testContext(), id, ['force']);
  t.strictSame(
    quiet.runs.map(({ program, args }) => [program, ...args].join(' ')),
    ['rbd-nbd unmap /dev/nbd0 --force'],
  );
  await t.rejects(nbd(t, () => ({ exitCode: 16, stderr: 'busy' })).mapper.unmap(testContext(), id, []), {
    code: 'FAILED_PRECONDITION',
    message: /can't unmap \/dev\/nbd0 \(ssd\/csi-vol-1\), exit code 16: .*lsof \/dev\/nbd0.*busy/,
  });
});

t.test('it takes images of any features; a missing module or program is named', async (t) => {
  t.equal(await nbd(t).mapper.objection(), undefined);
  const missing = nbd(t, () => ({ exitCode: null, failure: 'not-found' }));
  t.match(await missing.mapper.objection(), /rbd-nbd is not installed \(apt-get install rbd-nbd\)/);
  const { exec, runs } = fakeExec(() => ({ exitCode: 1 }));
  t.match(await new NbdMapper({ exec, daemons: localDaemons, sysBlock: t.testdir({}) }).objection(), /no nbd module/);
  t.strictSame(runs[0]?.args, ['nbd']);
});

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DiskFormat, type ExecResult, Luks } from 'mount-utils-ts';
import t, { type Test } from 'tap';
import { DmCryptMapper, luksName } from '../../../src/backend/rbd/dm-crypt-mapper.js';
import type { Encryption } from '../../../src/backend/rbd/encryption.js';
import type { Mapper, MapRequest, Mapping } from '../../../src/backend/rbd/mapper.js';
import { DriverError } from '../../../src/domain/errors.js';
import { Secret } from '../../../src/platform/secret.js';
import { testContext } from '../../platform/test-context.js';
import { fakeExec, type ProgramRun } from '../fake-exec.js';

const id = { backend: 'rbd', clusterId: 'a', pool: 'ssd', namespace: '', image: 'csi-vol-1' } as const;
const other = { ...id, image: 'csi-vol-2' };
const marker = 'marker-passphrase-4711';
const blank: DiskFormat = { kind: 'blank' };
const luks: DiskFormat = { kind: 'other', type: 'crypto_LUKS' };
const ext4: DiskFormat = { kind: 'filesystem', fsType: 'ext4' };
const dump = (keyslots: object) => ({
  stdout: JSON.stringify({ keyslots, segments: { '0': { offset: '33554432' } } }),
});

interface Machine {
  readonly found?: DiskFormat;
  /** The volume's LUKS device is open, over this one. */
  readonly openOver?: string;
  readonly isFormatted?: boolean;
  readonly readOnly?: boolean;
  readonly answer?: (run: ProgramRun) => Partial<ExecResult> | undefined;
  readonly inner?: Partial<Mapper>;
}

/** A mapper of /dev/rbd0 on a machine whose sysfs is a directory of the test. `cryptsetup open` makes dm-3 appear. */
function bench(t: Test, machine: Machine = {}) {
  const root = t.testdir({ block: {}, modules: { dm_crypt: {} } });
  const show = (over: string): void => {
    const device = join(root, 'block', 'dm-3');
    for (const part of ['dm', 'slaves']) mkdirSync(join(device, part), { recursive: true });
    writeFileSync(join(device, 'dm', 'name'), `${luksName(id)}\n`);
    writeFileSync(join(device, 'slaves', over), '');
    writeFileSync(join(device, 'ro'), '0\n');
  };
  if (machine.openOver !== undefined) show(machine.openOver);
  const { exec, runs } = fakeExec((run) => {
    const answer = machine.answer?.(run);
    if (run.args[0] === 'open' && answer?.exitCode === undefined) show('rbd0');
    return answer;
  });
  const deps = {
    luks: new Luks({ exec, sysBlock: join(root, 'block'), sysModule: join(root, 'modules') }),
    formatOf: async () => Promise.resolve(machine.found ?? blank),
  };
  const calls: string[] = [];
  const mapping: Mapping = { device: '/dev/rbd0', readOnly: machine.readOnly ?? false };
  const inner: Mapper = {
    kind: 'krbd',
    objection: async () => Promise.resolve(undefined),
    find: async () => Promise.resolve([mapping]),
    isImage: async (device) => Promise.resolve(device === '/dev/rbd0'),
    map: async () => {
      calls.push('map');
      return Promise.resolve(mapping);
    },
    refreshSize: async (_ctx, _id, device, sizeBytes) => {
      calls.push(`size ${device} ${sizeBytes}`);
      return Promise.resolve();
    },
    unmap: async () => {
      calls.push('unmap');
      return Promise.resolve();
    },
    ...machine.inner,
  };
  const remembered: bigint[] = [];
  const encryption: Encryption = {
    passphrase: new Secret(marker),
    headerBytes: 16n << 20n,
    isFormatted: machine.isFormatted ?? false,
    mayFormat: () => {
      if (machine.isFormatted === true) throw new DriverError('FAILED_PRECONDITION', 'formatted before');
    },
    remember: async (bytes) => {
      remembered.push(bytes);
      return Promise.resolve();
    },
    exclusively: async (work) => work(),
  };
  const request: MapRequest = {
    id,
    readOnly: machine.readOnly ?? false,
    monitors: 'm',
    user: 'u',
    key: undefined,
    keyring: undefined,
    features: 1n,
    options: [],
    encryption,
  };
  return { mapper: new DmCryptMapper(inner, deps), runs, calls, remembered, request };
}

const verbs = (runs: readonly ProgramRun[]) => runs.map(({ program, args }) => `${program} ${args[0] ?? ''}`);

t.test('a blank image is formatted, remembered and opened, the passphrase on standard input alone', async (t) => {
  const { mapper, runs, remembered, request } = bench(t);
  t.same(await mapper.map(testContext(), request), { device: '/dev/dm-3', readOnly: false, isEncrypted: true });
  t.same(verbs(runs), ['cryptsetup luksFormat', 'cryptsetup open']);
  t.same(remembered, [16n << 20n]);
  for (const { args, options } of runs) {
    t.equal(options.stdin, marker);
    t.match(args.join(' '), '--key-file -');
    t.notOk(args.join(' ').includes(marker));
  }
  t.match(runs[0]?.args.join(' '), /--type luks2 .*--offset 32768 .* \/dev\/rbd0$/);
  t.match(runs[1]?.args.join(' '), new RegExp(`--disable-keyring .*/dev/rbd0 ${luksName(id)}$`));
});

t.test('what has a header already is opened and never formatted, and remembered where it was not', async (t) => {
  const known = bench(t, { found: luks, isFormatted: true });
  await known.mapper.map(testContext(), known.request);
  t.same(verbs(known.runs), ['cryptsetup open']);
  const adopted = bench(t, {
    found: luks,
    answer: ({ args }) => (args[0] === 'luksDump' ? dump({ '0': {} }) : undefined),
  });
  await adopted.mapper.map(testContext(), adopted.request);
  t.same(verbs(adopted.runs), ['cryptsetup luksDump', 'cryptsetup open']);
  t.same(adopted.remembered, [32n << 20n], 'what its own header says');
});

t.test('a header without a key is what a cut-off format has left: it is made anew', async (t) => {
  const { mapper, runs, request } = bench(t, {
    found: luks,
    answer: ({ args }) => (args[0] === 'luksDump' ? dump({}) : undefined),
  });
  await mapper.map(testContext(), request);
  t.same(verbs(runs), ['cryptsetup luksDump', 'cryptsetup luksFormat', 'cryptsetup open']);
});

const refusals: readonly [string, Machine, string, RegExp][] = [
  ['a plain file system', { found: ext4 }, 'FAILED_PRECONDITION', /holds a ext4 file system and no LUKS header/],
  ['a wiped header', { isFormatted: true }, 'FAILED_PRECONDITION', /formatted before/],
  ['a blank image for a reader', { readOnly: true }, 'FAILED_PRECONDITION', /is blank and is to be staged read-only/],
];
for (const [what, machine, code, message] of refusals) {
  t.test(`${what} is refused, nothing is run, and the image is unmapped`, async (t) => {
    const { mapper, runs, calls, request } = bench(t, machine);
    await t.rejects(mapper.map(testContext(), request), { code, message });
    t.same(runs, []);
    t.same(calls, ['map', 'unmap']);
  });
}

const failures: readonly [string, Partial<ExecResult>, string, RegExp][] = [
  ['a wrong passphrase', { exitCode: 2 }, 'UNAUTHENTICATED', /the Secret's encryptionPassphrase does not open volume/],
  [
    'another failure',
    { exitCode: 1, stderr: `bad ${marker}` },
    'INTERNAL',
    /could not open the LUKS device.*bad \*\*\*/,
  ],
  ['a call that was given up', { exitCode: null, failure: 'aborted' }, 'ABORTED', /given up/],
];
for (const [what, result, code, message] of failures) {
  t.test(`${what} when opening is ${code}, without the passphrase, and the image is unmapped`, async (t) => {
    const { mapper, calls, request } = bench(t, {
      found: luks,
      isFormatted: true,
      answer: ({ args }) => (args[0] === 'open' ? result : undefined),
    });
    const error = await mapper.map(testContext(), request).catch((caught: unknown) => caught);
    t.match(error, { code, message });
    t.notOk((error as Error).message.includes(marker));
    t.same(calls, ['map', 'unmap']);
  });
}

t.test('a volume that is not encrypted passes through', async (t) => {
  const { mapper, runs, request } = bench(t, { found: luks });
  t.same(await mapper.map(testContext(), { ...request, encryption: undefined }), {
    device: '/dev/rbd0',
    readOnly: false,
  });
  t.same(runs, []);
  t.same(await mapper.find(id), [{ device: '/dev/rbd0', readOnly: false }]);
});

t.test('an open volume is found by sysfs: by its name, over its own device', async (t) => {
  const { mapper } = bench(t, { openOver: 'rbd0' });
  t.same(await mapper.find(id), [{ device: '/dev/dm-3', readOnly: false, isEncrypted: true }]);
  t.ok(await mapper.isImage('/dev/dm-3', id));
  t.ok(await mapper.isImage('/dev/rbd0', id), 'what lies below belongs to it too');
  t.notOk(await mapper.isImage('/dev/dm-3', other));
  t.notOk(await mapper.isImage('/dev/dm-4', id));
  t.not(luksName(id), luksName(other));
  const stale = bench(t, { openOver: 'rbd9' });
  t.same(await stale.mapper.find(id), [{ device: '/dev/rbd0', readOnly: false }], 'one over another device is stale');
});

t.test('unmap closes before it unmaps, and says what is in use', async (t) => {
  const busy = bench(t, { openOver: 'rbd0', answer: () => ({ exitCode: 5 }) });
  await t.rejects(busy.mapper.unmap(testContext(), id, []), {
    code: 'FAILED_PRECONDITION',
    message: /^\/dev\/mapper\/cuttle-.* is still open on this node.*lsof/,
  });
  t.same(busy.calls, [], 'what is open above stays mapped below');
  const closed = bench(t);
  await closed.mapper.unmap(testContext(), id, []);
  t.same(closed.runs, [], 'nothing is open: no program');
  t.same(closed.calls, ['unmap']);
});

t.test('without cryptsetup or dm-crypt an encrypted volume meets an objection, a plain one none', async (t) => {
  const missing = bench(t, { answer: () => ({ exitCode: null, failure: 'not-found' }) });
  t.equal(await missing.mapper.objection(1n, 'plain'), undefined);
  t.match(
    await missing.mapper.objection(1n, 'encrypted'),
    /cryptsetup is not installed \(apt-get install cryptsetup-bin\)/,
  );
  t.equal(await bench(t).mapper.objection(1n, 'encrypted clone'), undefined);
  const { exec } = fakeExec(({ program }) => (program === 'modprobe' ? { exitCode: 1 } : undefined));
  t.notOk(await new Luks({ exec, sysModule: '/no/such' }).canOpen());
});

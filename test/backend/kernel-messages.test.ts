import t from 'tap';
import { codeOf, explainKernelLines, kernelSays } from '../../src/backend/kernel-messages.js';
import { explainRbdLines } from '../../src/backend/rbd/rbd-messages.js';

/** As Linux 6.1 has logged them in the suite test/kernel/suites/kernel-log.ts. */
const said: readonly [string, string, string, RegExp][] = [
  [
    'an image feature that rbd lacks',
    'rbd: image journaled: image uses unsupported features: 0x40',
    'FAILED_PRECONDITION',
    /^this kernel does not support the image features journaling: leave them out of imageFeatures.*rbd feature disable$/,
  ],
  [
    'a missing image',
    'rbd: image log-56cdbe9a/absent does not exist',
    'NOT_FOUND',
    /^there is no image log-56cdbe9a\/absent$/,
  ],
  ['a missing pool', 'rbd: pool no-such-pool does not exist', 'NOT_FOUND', /^there is no pool no-such-pool$/],
  [
    'a wrong key',
    "libceph: auth protocol 'cephx' mauth authentication failed: -13",
    'UNAUTHENTICATED',
    /^the monitors refuse the user or its key/,
  ],
  [
    'no monitor at a port, first messenger',
    'libceph: mon0 (1)127.0.0.1:6799 socket error on write',
    'UNAVAILABLE',
    /^no monitor answers at 127\.0\.0\.1:6799 \(mon0\)/,
  ],
  [
    'no monitor at a port, second messenger',
    'libceph: mon0 (2)127.0.0.1:6799 socket error on write',
    'UNAVAILABLE',
    /^no monitor answers at 127\.0\.0\.1:6799 \(mon0\)/,
  ],
  [
    'features of the cluster that have no name here',
    "libceph: mon0 (1)127.0.0.1:39011 feature set mismatch, my 2f018fb87aa4aafe < server's 100000000000, missing 100000000000",
    'FAILED_PRECONDITION',
    /\(mon0 \(1\)127\.0\.0\.1:39011, missing 0x100000000000\): 0x100000000000$/,
  ],
];

/** As others have reported them of kernels and networks that are not at hand. */
const reported: readonly [string, string, string, RegExp][] = [
  [
    'tunables that an old kernel does not know',
    "libceph: mon0 10.0.0.1:6789 feature set mismatch, my 106b84a842a42 < server's 40106b84a842a42, missing 400000000000000",
    'FAILED_PRECONDITION',
    /missing 0x400000000000000\): CRUSH_TUNABLES5; for CRUSH_TUNABLES5 use Linux 4\.5 or newer, or ceph osd crush tunables hammer/,
  ],
  [
    'several features at once',
    "libceph: mon2 (1)[fd00::1]:6789 feature set mismatch, my 1 < server's 2, missing 1000002000000",
    'FAILED_PRECONDITION',
    /: CRUSH_TUNABLES2, CRUSH_V4; for CRUSH_TUNABLES2 .*argonaut.*; for CRUSH_V4 use Linux 4\.1 or newer/,
  ],
  [
    'a monitor that hangs up early',
    'libceph: mon1 (1)10.0.0.2:6789 socket closed (con state V1_BANNER)',
    'UNAVAILABLE',
    /^no monitor answers at 10\.0\.0\.2:6789 \(mon1\)/,
  ],
];

for (const [what, line, code, sentence] of [...said, ...reported]) {
  t.test(`${what} is made a sentence`, (t) => {
    const image = line.includes('absent') ? 'absent' : 'journaled';
    t.match(explainRbdLines([line], image), [{ code, sentence }]);
    t.end();
  });
}

const ordinary = [
  'Key type ceph registered',
  'libceph: loaded (mon/osd proto 15/24)',
  'libceph: mon0 (1)127.0.0.1:20663 session established',
  'libceph: client4145 fsid f7efab52-be06-4a18-8e2d-94ca388a28a8',
  'rbd: rbd0: capacity 67108864 features 0x5',
  'libceph: mon0 (1)127.0.0.1:20663 socket closed (con state OPEN)',
  'libceph: osd0 (1)127.0.0.1:6801 socket closed (con state V1_BANNER)',
];

t.test('what is logged when all is well, or of others, is no finding', (t) => {
  t.strictSame(explainRbdLines(ordinary, 'journaled'), []);
  for (const other of ['another-image', 'journale', 'journaled-2'])
    t.strictSame(explainRbdLines([said[0]?.[1] ?? ''], other), [], 'another image of the same moment');
  t.strictSame(explainKernelLines([said[0]?.[1] ?? '']), [], 'CephFS does not ask for images');
  t.end();
});

t.test('a line that comes again is told once, and a silent monitor is not taken for the cause', (t) => {
  const [, , , auth, silent] = said.map(([, line]) => line);
  const findings = explainKernelLines([silent ?? '', silent ?? '', auth ?? '']);
  t.equal(findings.length, 2);
  t.equal(codeOf(findings), 'UNAUTHENTICATED');
  t.equal(codeOf([]), undefined);
  t.match(kernelSays(findings, []), /^; the kernel log says: no monitor answers .*; the monitors refuse/);
  t.end();
});

t.test('lines that nobody knows are quoted, the last three, and none that may show a key', (t) => {
  const lines = [
    'libceph: a',
    'usb 1-1: new device',
    'ceph: b',
    'libceph: bad option at "secret=AQD"',
    'rbd: c',
    'libceph: d',
  ];
  t.equal(kernelSays([], lines), '; the kernel log says: ceph: b; rbd: c; libceph: d');
  t.equal(kernelSays([], ['usb 1-1: new device']), '');
  t.end();
});

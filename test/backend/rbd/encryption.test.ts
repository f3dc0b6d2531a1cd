import t from 'tap';
import type { CephPool, ImageHeader } from '../../../src/ceph/client.js';
import {
  encryptionMetadata,
  fitsLayout,
  headerBytesFor,
  headerBytesIn,
  parseEncrypted,
} from '../../../src/backend/rbd/encryption.js';
import { encryptionOf, isEncrypted } from '../../../src/backend/rbd/image-encryption.js';
import { Secret } from '../../../src/platform/secret.js';
import { testContext } from '../../platform/test-context.js';

const mib = 1n << 20n;
const id = { backend: 'rbd', clusterId: 'a', pool: 'p', namespace: '', image: 'i' } as const;
const passphrase = new Secret('marker-passphrase');

function headerWith(metadata: Record<string, string>): ImageHeader {
  return { id: '1', sizeBytes: 1n, features: 1n, hasSnapshots: false, metadata: new Map(Object.entries(metadata)) };
}

const layouts: readonly [string, number | undefined, bigint | undefined, bigint][] = [
  ['objects of 4 MiB', undefined, undefined, 16n],
  ['objects of 4 KiB', 12, undefined, 16n],
  ['objects of 32 MiB', 25, undefined, 32n],
  ['4 objects of 4 MiB', 22, 4n, 16n],
  ['3 objects of 4 MiB', undefined, 3n, 24n],
  ['5 objects of 8 MiB', 23, 5n, 40n],
];
for (const [what, order, stripeCount, expected] of layouts) {
  t.test(`with ${what} in a stripe the data begins at ${expected} MiB, where a stripe begins`, (t) => {
    const bytes = headerBytesFor({ order, stripeCount });
    t.equal(bytes, expected * mib);
    t.ok(fitsLayout(bytes, { order, stripeCount }));
    t.end();
  });
}

t.test('a layout whose stripes are larger than the header does not suit it', (t) => {
  t.notOk(fitsLayout(16n * mib, { order: 25, stripeCount: undefined }));
  t.notOk(fitsLayout(16n * mib, { order: 22, stripeCount: 3n }));
  t.ok(fitsLayout(32n * mib, { order: undefined, stripeCount: undefined }));
  t.end();
});

t.test('what the header takes is written on the image and read from it', (t) => {
  t.equal(headerBytesIn(encryptionMetadata(16n * mib)), 16n * mib);
  t.equal(encryptionMetadata(0n).size, 0);
  t.equal(headerBytesIn(new Map()), 0n);
  for (const text of ['', 'luks', '-1', '1.5'])
    t.throws(() => headerBytesIn(new Map([['.cuttle.encrypted', text]])), { code: 'INTERNAL' });
  t.end();
});

t.test('encrypted is true or false', (t) => {
  t.equal(parseEncrypted({}), false);
  t.equal(parseEncrypted({ encrypted: 'false' }), false);
  t.equal(parseEncrypted({ encrypted: 'true' }), true);
  for (const encrypted of ['', 'yes', 'True', '1'])
    t.throws(() => parseEncrypted({ encrypted }), { code: 'INVALID_ARGUMENT', message: /parameter encrypted/ });
  t.end();
});

t.test('the image’s word counts, and for one without any that of the volume attributes', (t) => {
  const ours = headerWith({ '.cuttle.encrypted': '16777216' });
  t.ok(isEncrypted(ours, { context: {} }));
  t.ok(isEncrypted(ours, { context: { encrypted: 'false' } }));
  t.ok(isEncrypted(headerWith({}), { context: { encrypted: 'true' } }));
  t.notOk(isEncrypted(headerWith({}), { context: { encrypted: 'false' } }));
  t.notOk(isEncrypted(headerWith({}), { context: {} }));
  t.end();
});

/** A pool that notes what is written, and whose lock somebody else holds for the first attempts. */
function fakePool(refusals = 0) {
  const written: [string, string | null][] = [];
  const locks: string[] = [];
  const pool = {
    images: {
      setMetadata: async (_ctx: unknown, _id: string, values: ReadonlyMap<string, string | null>) => {
        written.push(...values);
        return Promise.resolve(true);
      },
    },
    lock: async (_ctx: unknown, object: string) => {
      locks.push(object);
      return Promise.resolve(locks.length > refusals);
    },
    unlock: async (_ctx: unknown, object: string) => {
      locks.push(`free ${object}`);
      return Promise.resolve();
    },
  };
  return { pool: pool as unknown as CephPool, written, locks };
}

t.test('a request without a passphrase is refused by the name of the Secret’s entry', (t) => {
  t.throws(() => encryptionOf(testContext(), fakePool().pool, headerWith({}), { id }), {
    code: 'INVALID_ARGUMENT',
    message: /^volume rbd:a:p::i is encrypted and the Secret has no encryptionPassphrase/,
  });
  t.end();
});

t.test('an image is formatted once: the mark is written, stays what it was, and forbids the next time', async (t) => {
  const { pool, written } = fakePool();
  const of = (metadata: Record<string, string>) =>
    encryptionOf(testContext(), pool, headerWith(metadata), { id, passphrase });
  const first = of({ '.cuttle.encrypted': '33554432' });
  t.equal(first.isFormatted, false);
  t.equal(first.headerBytes, 32n * mib);
  t.doesNotThrow(() => {
    first.mayFormat();
  });
  await first.remember(first.headerBytes);
  t.same(written.splice(0), [
    ['.cuttle.encrypted', '33554432'],
    ['.cuttle.formatted', 'luks2'],
  ]);
  const later = of({ '.cuttle.encrypted': '33554432', '.cuttle.formatted': 'xfs' });
  t.equal(later.isFormatted, true);
  t.throws(
    () => {
      later.mayFormat();
    },
    { code: 'FAILED_PRECONDITION', message: /was formatted xfs by Cuttle before and shows no LUKS header now/ },
  );
  await later.remember(16n * mib);
  t.same(written.at(-1), ['.cuttle.formatted', 'xfs'], 'an adopted image keeps its mark');
  t.equal(of({ '.cuttle.formatted': 'ext4' }).isFormatted, false, 'one that says nothing of a header is looked at');
});

t.test('while an image is formatted its header is locked, and another node’s lock is waited for', async (t) => {
  const { pool, locks } = fakePool(2);
  const encryption = encryptionOf(testContext(), pool, headerWith({}), { id, passphrase });
  t.equal(await encryption.exclusively(async () => Promise.resolve(locks.length)), 3);
  t.same(locks, ['rbd_header.1', 'rbd_header.1', 'rbd_header.1', 'free rbd_header.1']);
  await t.rejects(
    encryption.exclusively(async () => Promise.reject(new Error('cut off'))),
    { message: 'cut off' },
  );
  t.equal(locks.at(-1), 'free rbd_header.1', 'a failure frees it too');
});

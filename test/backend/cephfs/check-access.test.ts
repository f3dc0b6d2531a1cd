import t, { type Test } from 'tap';
import { checkAccess } from '../../../src/backend/cephfs/check-access.js';
import { CephError, errno } from '../../../src/ceph/ceph-error.js';
import type { CephConnection, OmapChange } from '../../../src/ceph/client.js';
import { testContext } from '../../platform/test-context.js';
import { id } from './fake-mounters.js';

type Answers = Readonly<Record<string, number>>;

/** A cluster whose pools answer reads and writes with these errno values; `pool/namespace` names a namespace. */
function cluster(reads: Answers, writes: Answers = {}) {
  const changes: OmapChange[] = [];
  const asked: string[] = [];
  const answer = (value: number | undefined) => {
    if (value !== undefined) throw new CephError('INTERNAL', 'refused', value);
  };
  const connection = {
    user: 'k8s',
    fileSystems: async () =>
      Promise.resolve([
        { name: 'other', dataPools: ['other'] },
        { name: 'cephfs', dataPools: ['first', 'second'] },
      ]),
    pool: async (_ctx: unknown, pool: string, namespace: string) => {
      const name = namespace === '' ? pool : `${pool}/${namespace}`;
      asked.push(name);
      return Promise.resolve({
        omap: {
          get: async () => {
            answer(reads[name]);
            return Promise.resolve(new Map());
          },
          update: async (_ctx: unknown, _object: string, change: OmapChange) => {
            changes.push(change);
            answer(writes[name]);
            return Promise.resolve(false);
          },
        },
      });
    },
  };
  return { connection: connection as unknown as CephConnection, asked, changes };
}

async function check(
  t: Test,
  { connection }: { connection: CephConnection },
  attributes: Readonly<Record<string, string>> = {},
  forWriting = true,
) {
  const ctx = testContext();
  const readAttribute = async (_path: string, name: string) => Promise.resolve(attributes[name]);
  await checkAccess(ctx, { connection, id, target: t.testdir({}), forWriting, readAttribute });
  return ctx;
}

const refused = (message: RegExp) => ({ code: 'PERMISSION_DENIED', message });

t.test("the directory's own pool and namespace are asked for", async (t) => {
  const one = cluster({});
  await check(t, one, { 'ceph.dir.layout.pool': 'ssd', 'ceph.dir.layout.pool_namespace': 'team' });
  t.strictSame(one.asked, ['ssd/team']);
  const denied = cluster({ 'ssd/team': errno.EPERM });
  const attributes = { 'ceph.dir.layout.pool': 'ssd', 'ceph.dir.layout.pool_namespace': 'team' };
  await t.rejects(
    check(t, denied, attributes),
    refused(/may not read from pool "ssd", namespace "team", where its files lie/),
  );
});

t.test('without a layout of its own, one pool of the file system that is allowed is enough', async (t) => {
  await check(t, cluster({ first: errno.EPERM }));
  const none = cluster({ first: errno.EPERM }, { second: errno.EACCES });
  await t.rejects(check(t, none), refused(/may not read from pool "first" nor write to pool "second", where/));
});

t.test('a reader is not asked for the right to write', async (t) => {
  const readers = cluster({}, { first: errno.EPERM, second: errno.EPERM });
  await check(t, readers, {}, false);
  t.strictSame(readers.changes, []);
});

t.test('the write that is tried can not take place', async (t) => {
  const one = cluster({});
  await check(t, one);
  t.equal(one.changes.length, 1);
  t.not([...(one.changes[0]?.expect?.values() ?? [''])][0], '', 'it expects what is not there');
});

t.test('an erasure-coded pool has no object maps, and is allowed', async (t) => {
  const ctx = await check(t, cluster({ first: errno.EOPNOTSUPP }, { first: errno.EOPNOTSUPP }));
  t.strictSame(ctx.lines, []);
});

t.test('what gives no answer is no refusal, and is logged', async (t) => {
  const ctx = await check(t, cluster({ first: errno.ETIMEDOUT }));
  t.match(ctx.lines, [{ level: 40, msg: /the access check of the data pool has no result/ }]);
});

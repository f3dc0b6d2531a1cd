import t from 'tap';
import { fullPools, fullTroubles } from '../../src/backend/full-pools.js';
import { DriverError } from '../../src/domain/errors.js';

const pools = [
  { pool_name: 'good', flags_names: 'hashpspool,selfmanaged_snaps' },
  { pool_name: 'near', flags_names: 'hashpspool,nearfull' },
  { pool_name: 'full', flags_names: 'hashpspool,full' },
  { pool_name: 'limited', flags_names: 'hashpspool,full,full_quota' },
];

t.test('pools are full by their flags; one that is nearly full still takes writes', async (t) => {
  const full = await fullPools(async () => Promise.resolve(JSON.stringify(pools)));
  t.strictSame(
    [...full],
    [
      ['full', 'PoolFull'],
      ['limited', 'PoolQuotaReached'],
    ],
  );
  t.strictSame(fullTroubles(full, ['good', 'near'], 'a'), []);
  t.match(fullTroubles(full, ['limited', 'full', 'full'], 'a'), [
    { status: 'DEGRADED', reason: 'PoolFull', message: /^pool "full" of cluster "a" is full: add OSDs/ },
    { status: 'DEGRADED', reason: 'PoolQuotaReached', message: /^pool "limited" .*set-quota/ },
  ]);
});

t.test('two full pools of a volume are one trouble', (t) => {
  const full = new Map([
    ['one', 'PoolFull'],
    ['two', 'PoolFull'],
  ] as const);
  const troubles = fullTroubles(full, ['one', 'two'], 'a');
  t.match(troubles, [{ message: /^pool "one" and "two" / }]);
  t.equal(troubles.length, 1);
  t.end();
});

t.test('a user who may not ask learns of none; a cluster that does not answer is an error', async (t) => {
  const fail = (code: 'PERMISSION_DENIED' | 'UNAVAILABLE') => async () => Promise.reject(new DriverError(code, code));
  t.equal((await fullPools(fail('PERMISSION_DENIED'))).size, 0);
  await t.rejects(fullPools(fail('UNAVAILABLE')), { code: 'UNAVAILABLE' });
});

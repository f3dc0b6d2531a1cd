import t from 'tap';
import { checkServed, type MdsReport } from '../../src/ceph/cephfs-state.js';
import { DriverError } from '../../src/domain/errors.js';

const call = { clusterId: 'c1', monitors: '', user: 'u', doing: 'find it' };

type Ranks = readonly (readonly [rank: number, state: string])[];

function report(fileSystems: Record<string, Ranks>): MdsReport {
  return {
    fsmap: {
      filesystems: Object.entries(fileSystems).map(([name, ranks]) => ({
        mdsmap: {
          fs_name: name,
          info: Object.fromEntries(ranks.map(([rank, state], i) => [`gid_${i}`, { rank, state }])),
        },
      })),
    },
  };
}

function refusal(fileSystems: Record<string, Ranks>, name: string): unknown {
  try {
    checkServed(report(fileSystems), name, call);
    return undefined;
  } catch (error) {
    return error instanceof DriverError ? { code: error.code, message: error.message } : error;
  }
}

t.test('one of several file systems is served when it has an active MDS of its own', (t) => {
  const both: Record<string, Ranks> = { a: [[0, 'up:active']], b: [[0, 'up:replay']], c: [] };
  t.equal(refusal(both, 'a'), undefined);
  t.match(refusal(both, 'b'), { code: 'UNAVAILABLE', message: /"b" .*"c1" has no active MDS \(rank 0: up:replay\)/ });
  t.match(refusal(both, 'c'), {
    code: 'UNAVAILABLE',
    message: /no active MDS \(none at all\): check ceph fs status c/,
  });
  t.match(refusal(both, 'd'), {
    code: 'NOT_FOUND',
    message: /"d" does not exist in cluster "c1", which has "a", "b", "c"/,
  });
  t.match(refusal({}, 'd'), { code: 'NOT_FOUND', message: /"d" does not exist in cluster "c1": correct fsName/ });
  t.end();
});

t.test('an active MDS that the monitors have not heard of serves nobody', (t) => {
  const silent = { rank: 0, state: 'up:active', laggy_since: '2026-01-01T00:00:00.000000+0000' };
  const told = { fsmap: { filesystems: [{ mdsmap: { fs_name: 'a', info: { gid_1: silent } } }] } };
  t.throws(
    () => {
      checkServed(told, 'a', call);
    },
    {
      code: 'UNAVAILABLE',
      message: /no active MDS \(rank 0: up:active, laggy\)/,
    },
  );
  t.end();
});

t.test('a standby that follows the journal serves nobody', (t) => {
  t.match(refusal({ a: [[0, 'up:standby-replay']] }, 'a'), { code: 'UNAVAILABLE' });
  t.equal(
    refusal(
      {
        a: [
          [0, 'up:standby-replay'],
          [0, 'up:active'],
        ],
      },
      'a',
    ),
    undefined,
  );
  t.end();
});

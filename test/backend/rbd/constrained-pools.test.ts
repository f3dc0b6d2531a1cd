import t from 'tap';
import { imagePlaces, poolsOf } from '../../../src/backend/rbd/image-places.js';
import { parseParameters } from '../../../src/backend/rbd/parameters.js';

const zone = 'topology.kubernetes.io/zone';
const everywhere = { topology: [] };

/** As a StorageClass of ceph-csi has it. */
const pools = JSON.stringify([
  { poolName: 'p-a', domainSegments: [{ domainLabel: 'zone', value: 'a' }] },
  { poolName: 'p-b', dataPool: 'd-b', domainSegments: [{ domainLabel: 'zone', value: 'b' }] },
]);
const parse = (more: Record<string, string> = {}) => parseParameters({ topologyConstrainedPools: pools, ...more });

t.test("ceph-csi's list gives a place for each pool, its labels made whole by the request's keys", (t) => {
  const asked = [{ [zone]: 'x' }];
  t.strictSame(imagePlaces(parse(), everywhere, asked, []), [
    { pool: 'p-a', dataPool: undefined, reach: [{ [zone]: 'a' }] },
    { pool: 'p-b', dataPool: 'd-b', reach: [{ [zone]: 'b' }] },
  ]);
  t.strictSame(
    imagePlaces(parse({ pool: 'own', dataPool: 'd' }), everywhere, asked, []).map(({ pool }) => pool),
    ['p-a', 'p-b'],
  );
  t.end();
});

t.test('a request that says nothing of topology gets `pool` where there is one, else the first of the list', (t) => {
  const cluster = { topology: [{ [zone]: 'c' }] };
  const [first] = imagePlaces(parse({ pool: 'own', dataPool: 'd' }), cluster, undefined, [zone]);
  t.strictSame(first, { pool: 'own', dataPool: 'd', reach: [{ [zone]: 'c' }] });
  t.equal(imagePlaces(parse(), cluster, undefined, [zone])[0]?.pool, 'p-a');
  const [listed] = imagePlaces(parse({ pool: 'p-b', dataPool: 'd-b' }), cluster, undefined, [zone]);
  t.strictSame(listed?.reach, [{ [zone]: 'b' }], 'one that is in the list is reached from where the list says');
  t.end();
});

t.test('labels that nobody can tell are an error only where nothing else can be had', (t) => {
  t.throws(() => imagePlaces(parse(), everywhere, undefined, []), {
    code: 'INVALID_ARGUMENT',
    message: /--topology-labels/,
  });
  t.equal(imagePlaces(parse({ pool: 'own' }), everywhere, undefined, []).length, 1);
  t.strictSame(imagePlaces(parse(), everywhere, [{ rack: '1' }], []), []);
  t.end();
});

t.test('entries for the same pools are one place', (t) => {
  const entry = (value: string, dataPool?: string) => ({
    ...{ poolName: 'p', dataPool },
    domainSegments: [{ domainLabel: zone, value }],
  });
  const text = JSON.stringify([entry('a'), entry('b'), entry('c', 'd')]);
  const parameters = parseParameters({ topologyConstrainedPools: text });
  t.strictSame(imagePlaces(parameters, everywhere, undefined, []), [
    { pool: 'p', dataPool: undefined, reach: [{ [zone]: 'a' }, { [zone]: 'b' }] },
    { pool: 'p', dataPool: 'd', reach: [{ [zone]: 'c' }] },
  ]);
  t.strictSame(poolsOf(parameters), ['p']);
  t.end();
});

t.test('without such pools the cluster says from where its pool is reached', (t) => {
  const cluster = { topology: [{ zone: 'a' }] };
  const parameters = parseParameters({ pool: 'p' });
  t.strictSame(imagePlaces(parameters, cluster, undefined, []), [
    { pool: 'p', dataPool: undefined, reach: cluster.topology },
  ]);
  t.strictSame(poolsOf(parameters), ['p']);
  t.strictSame(poolsOf(parse({ pool: 'own' })), ['p-a', 'p-b', 'own']);
  t.end();
});

t.test('an error names the entry and its field', (t) => {
  const segment = { domainLabel: 'zone', value: 'a' };
  const pool = { poolName: 'p', domainSegments: [segment] };
  const cases: [unknown, RegExp][] = [
    ['', /topologyConstrainedPools is no JSON/],
    [[], /topologyConstrainedPools is no list/],
    [{}, /topologyConstrainedPools is no list/],
    [[1], /topologyConstrainedPools\[0\] is no object/],
    [[{ ...pool, poolname: 'p' }], /topologyConstrainedPools\[0\]\.poolname is unknown: known are poolName/],
    [[{ domainSegments: [segment] }], /\[0\]\.poolName is no pool name/],
    [[{ ...pool, poolName: 'a/b' }], /\[0\]\.poolName is no pool name/],
    [[pool, { ...pool, dataPool: 1 }], /\[1\]\.dataPool is no pool name/],
    [[{ poolName: 'p' }], /\[0\]\.domainSegments is no list/],
    [[{ ...pool, domainSegments: [{ value: 'a' }] }], /\.domainSegments\[0\]\.domainLabel is missing/],
    [[{ ...pool, domainSegments: [{ ...segment, value: 1 }] }], /\.domainSegments\[0\]\.value is missing/],
    [[{ ...pool, domainSegments: [{ ...segment, value: 'a b' }] }], /\.value is "a b", which is no topology value/],
    [
      [{ ...pool, domainSegments: [{ ...segment, domainLabel: 'a b' }] }],
      /\.domainLabel is "a b", which is no topology key/,
    ],
    [[{ ...pool, domainSegments: [segment, segment] }], /\.domainSegments\[1\]\.domainLabel is "zone" once more/],
    [[pool, pool], /topologyConstrainedPools\[1\] has the pool and the place of \[0\]/],
  ];
  for (const [value, message] of cases) {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    t.throws(() => parseParameters({ topologyConstrainedPools: text }), { code: 'INVALID_ARGUMENT', message }, text);
  }
  t.throws(() => parse({ dataPool: 'd' }), { code: 'INVALID_ARGUMENT', message: /dataPool belongs to parameter pool/ });
  t.end();
});

import t from 'tap';
import {
  choosePlace,
  describePlaces,
  isReachable,
  meets,
  type Segments,
  topologyKeyObjection,
  topologyKeysObjection,
  topologyValueObjection,
  withWholeKeys,
} from '../../src/domain/topology.js';

const zone = 'topology.kubernetes.io/zone';
const region = 'topology.kubernetes.io/region';
const at = (value: string): Segments => ({ [zone]: value });
const place = (name: string, ...zones: string[]) => ({ name, reach: zones.map(at) });

t.test('a place is reached by whoever has all of its segments, however many others', (t) => {
  t.equal(isReachable([at('a')], { [zone]: 'a', [region]: 'r' }), true);
  t.equal(isReachable([at('a'), at('b')], at('b')), true);
  t.equal(isReachable([at('a')], at('b')), false);
  t.equal(isReachable([{ [zone]: 'a', [region]: 'r' }], at('a')), false, 'there are zones a in other regions');
  t.equal(isReachable([at('a')], { [zone.toUpperCase()]: 'a' }), true, 'keys are case-insensitive');
  t.equal(isReachable([at('a')], at('A')), false, 'values are not');
  t.equal(isReachable([at('a')], {}), false);
  t.end();
});

t.test('what has no place is reached from everywhere', (t) => {
  t.equal(isReachable([], at('a')), true);
  t.equal(isReachable([], {}), true);
  t.equal(meets([], { requisite: [at('a')], preferred: [] }), true);
  t.end();
});

t.test('a demand is met when one of the requisite topologies reaches it; preferred ones demand nothing', (t) => {
  t.equal(meets([at('a')], undefined), true);
  t.equal(meets([at('a')], { requisite: [at('b'), at('a')], preferred: [] }), true);
  t.equal(meets([at('a')], { requisite: [at('b')], preferred: [] }), false);
  t.equal(meets([at('a')], { requisite: [], preferred: [at('b')] }), true);
  t.end();
});

t.test('preferred topologies are tried in their order, then the requisite ones, then the list of places', (t) => {
  const places = [place('A', 'a'), place('B', 'b'), place('C', 'c')];
  const chosen = (requisite: string[], preferred: string[]) =>
    choosePlace(places, { requisite: requisite.map(at), preferred: preferred.map(at) })?.name;
  t.equal(chosen(['a', 'b'], ['b', 'a']), 'B');
  t.equal(chosen(['c', 'b'], []), 'C', 'the order of the requisite, not that of the places');
  t.equal(chosen(['a', 'b', 'x'], ['x']), 'A', 'what is preferred has no place');
  t.equal(chosen([], ['c']), 'C');
  t.equal(chosen([], ['x']), 'A');
  t.equal(chosen(['x'], ['a']), undefined, 'nothing that is preferred makes up for the demand');
  t.equal(choosePlace(places, undefined)?.name, 'A');
  t.equal(choosePlace([place('everywhere')], { requisite: [at('x')], preferred: [] })?.name, 'everywhere');
  t.end();
});

t.test('a key may be written short where one of the known keys ends with it', (t) => {
  t.strictSame(withWholeKeys({ zone: 'a', Region: 'r' }, [region, zone]), { [zone]: 'a', [region]: 'r' });
  t.strictSame(withWholeKeys({ zone: 'a' }, ['zone', zone]), { zone: 'a' }, 'the very key counts first');
  t.strictSame(withWholeKeys({ [zone]: 'a' }, []), { [zone]: 'a' });
  t.strictSame(withWholeKeys({ [zone]: 'a' }, ['zone']), { [zone]: 'a' }, 'a whole key stands for itself alone');
  t.equal(withWholeKeys({ rack: '7' }, [region, zone]), undefined);
  t.end();
});

t.test("keys and values are what CSI's Topology allows", (t) => {
  const long = 'x'.repeat(64);
  for (const key of [zone, 'zone', 'Zone_1.b-c', `${'x'.repeat(63)}/z`])
    t.equal(topologyKeyObjection(key), undefined, key);
  for (const key of ['', '/', 'a/', '/zone', 'a/b/c', '-a', 'a-', 'Zone.io/zone', `${long}/z`, long, 'zone a'])
    t.type(topologyKeyObjection(key), 'string', key);
  for (const value of ['a', 'eu-west_1.b', 'x'.repeat(63)]) t.equal(topologyValueObjection(value), undefined, value);
  for (const value of ['', '-a', 'a b', long, 'ä']) t.type(topologyValueObjection(value), 'string', value);
  t.end();
});

t.test('keys that are used together have one prefix, and differ by more than capitals', (t) => {
  t.equal(topologyKeysObjection([zone, region, zone]), undefined);
  t.match(topologyKeysObjection([zone, 'topology.rook.io/rack']), /same prefix/);
  t.match(topologyKeysObjection([zone, 'rack']), /same prefix/);
  t.match(topologyKeysObjection(['zone', 'Zone']), /capitals/);
  t.end();
});

t.test('places read as people write them', (t) => {
  t.equal(describePlaces([{ zone: 'a', rack: '1' }, { zone: 'b' }]), '{zone=a, rack=1} or {zone=b}');
  t.equal(describePlaces([]), 'everywhere');
  t.end();
});

import t from 'tap';
import { readiness, type ReadinessSources } from '../../src/platform/readiness.js';

const good: ReadinessSources = {
  serving: () => true,
  refusal: () => undefined,
  clusters: () => ['a'],
  contacts: () => [{ cluster: 'a', connections: 2, answers: new Map([['monitors', true]]) }],
};

t.test('a process that serves with the configuration as it is is ready', (t) => {
  t.same(readiness(good), { ready: true, notes: ['cluster "a": answers (open connections: 2)'] });
  t.end();
});

t.test('it is not ready before it serves, and while it ends', (t) => {
  const found = readiness({ ...good, serving: () => false });
  t.equal(found.ready, false);
  t.match(found.notes[0], 'requests are not served');
  t.end();
});

t.test('it is not ready when it would not start anew: the refusal is told', (t) => {
  const found = readiness({ ...good, refusal: () => 'configuration /c.yaml: clusters: lists no cluster' });
  t.equal(found.ready, false);
  t.match(found.notes[0], 'lists no cluster');
  t.end();
});

t.test('a cluster that is silent is told, and the process stays ready', (t) => {
  const answers = new Map([
    ['monitors', false],
    ['OSDs', true],
    ['MDSs', false],
  ] as const);
  const found = readiness({ ...good, contacts: () => [{ cluster: 'a', connections: 0, answers }] });
  t.equal(found.ready, true);
  t.match(found.notes[0], 'cluster "a": the last call to its monitors and MDSs got no answer in time');
  t.end();
});

t.test('a cluster that was asked nothing is told as such; one that has left the configuration is not told', (t) => {
  const found = readiness({ ...good, clusters: () => ['b'] });
  t.same(found, { ready: true, notes: ['cluster "b": nothing was asked of it yet'] });
  t.end();
});

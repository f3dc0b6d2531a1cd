import t from 'tap';
import { readTap } from '../../scripts/testing/read-tap.js';

const MIXED = `TAP version 14
# Subtest: adds
    ok 1 - one and one
    ok 2 - two and two
    1..2
ok 1 - adds # time=1ms
# Subtest: outer
    # Subtest: first
        ok 1 - fine
        1..1
    ok 1 - first
    # Subtest: second
        ok 1 - fine
        not ok 2 - should be equal
          ---
          diff: |
            -1
            +2
          ...
        1..2
    not ok 2 - second
    1..2
not ok 2 - outer
ok 3 - krbd maps the image # SKIP this kernel has no rbd module
ok 4 - a bare assertion
ok 5 - a later wish # TODO when there is time
1..5
`;

t.test('cases are counted, not assertions, and the outer test of a failed one is not counted again', async (t) => {
  const counts = await readTap(MIXED);
  t.match(counts, { passed: 3, failed: 1 });
  t.equal(counts.failures.length, 1);
  t.match(counts.failures[0], { title: 'outer > second > should be equal', detail: /-1\n\+2/ });
});

t.test('skips come with their reasons, and what is still to be done is a skip', async (t) => {
  const { skipped } = await readTap(MIXED);
  t.strictSame(skipped, [
    { title: 'krbd maps the image', reason: 'this kernel has no rbd module' },
    { title: 'a later wish', reason: 'still to be done: when there is time' },
  ]);
});

t.test('an outer test that fails by itself is a failed case', async (t) => {
  const text = `TAP version 14
# Subtest: outer
    # Subtest: inner
        ok 1 - fine
        1..1
    ok 1 - inner
    not ok 2 - its own assertion
    1..2
not ok 1 - outer
1..1
`;
  t.match(await readTap(text), { passed: 1, failed: 1 });
});

for (const [what, text] of [
  ['a test file that stops in the middle', 'TAP version 14\nok 1 - one\n'],
  ['a plan that is not fulfilled', 'TAP version 14\nok 1 - one\n1..2\n'],
  ['a bail out', 'TAP version 14\nok 1 - one\nBail out! no cluster\n'],
] as const) {
  t.test(`${what} is a failure`, async (t) => {
    t.match(await readTap(text), { passed: 1, failed: 1 });
  });
}

t.test('text without any test counts for nothing, so that the file can be refused', async (t) => {
  t.match(await readTap('Error: Cannot find module\n'), { passed: 0, failed: 0, skipped: [] });
});

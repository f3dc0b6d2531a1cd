import t from 'tap';
import { defaultFeatures, featureNames, parseFeatures } from '../../../src/backend/rbd/features.js';

t.test("the default features are Ceph's own default set", (t) => {
  t.equal(parseFeatures(defaultFeatures), 61n);
  t.end();
});

for (const [text, bits] of [
  ['layering', 1n],
  ['layering,exclusive-lock', 5n],
  [' exclusive-lock , object-map ', 12n],
  ['fast-diff,object-map,exclusive-lock', 28n],
  ['deep-flatten,journaling,exclusive-lock', 100n],
  ['layering,layering', 1n],
  ['', 0n],
] as const) {
  t.test(`the features "${text}" are the bits ${bits.toString()}, in any order`, (t) => {
    t.equal(parseFeatures(text), bits);
    t.end();
  });
}

for (const [text, message] of [
  ['layering,fastdiff', /names "fastdiff", which is no image feature .*use layering, exclusive-lock/],
  ['striping', /names "striping"/],
  ['data-pool', /names "data-pool"/],
  ['Layering', /names "Layering"/],
  ['toString', /names "toString"/],
  ['object-map', /has "object-map", which needs "exclusive-lock": add it, or leave "object-map" out/],
  ['exclusive-lock,fast-diff', /has "fast-diff", which needs "object-map"/],
  ['journaling', /has "journaling", which needs "exclusive-lock"/],
] as const) {
  t.test(`the features "${text}" are refused with the one that is wrong`, (t) => {
    t.throws(() => parseFeatures(text), { code: 'INVALID_ARGUMENT', message });
    t.end();
  });
}

t.test('bits are told by name, those that nobody knows by number', (t) => {
  t.strictSame(featureNames(61n), ['layering', 'exclusive-lock', 'object-map', 'fast-diff', 'deep-flatten']);
  t.strictSame(featureNames(0n), []);
  t.strictSame(featureNames((1n << 7n) | (1n << 40n) | (1n << 41n)), ['data-pool', '0x30000000000']);
  t.end();
});

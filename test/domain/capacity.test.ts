import t from 'tap';
import { chooseSize, maxVolumeBytes, minVolumeBytes, sizeFits } from '../../src/domain/capacity.js';
import { isDriverError } from '../../src/domain/errors.js';

const mib = 1n << 20n;
const gib = 1n << 30n;

const chosen: readonly [string, bigint, bigint, bigint][] = [
  ['an aligned size is taken exactly', 5n * mib, 0n, 5n * mib],
  ['a size is rounded up to the next 4096 bytes', 5n * mib + 1n, 0n, 5n * mib + 4096n],
  ['one byte becomes the smallest volume', 1n, 0n, mib],
  ['required == limit is exact', 3n * gib, 3n * gib, 3n * gib],
  ['rounding up ends exactly at the limit', mib + 1n, mib + 4096n, mib + 4096n],
  ['a limit alone below the default is the size', 0n, 5n * mib, 5n * mib],
  ['a limit alone that is not aligned is rounded down', 0n, 5n * mib + 4095n, 5n * mib],
  ['a limit alone above the default leaves the default', 0n, 1n << 60n, gib],
  ['the largest volume has 2^53 bytes', maxVolumeBytes, 0n, maxVolumeBytes],
  ['one byte less than the largest is rounded up to it', maxVolumeBytes - 1n, 0n, maxVolumeBytes],
];

for (const [what, requiredBytes, limitBytes, size] of chosen) {
  t.test(what, (t) => {
    t.equal(chooseSize({ requiredBytes, limitBytes }), size);
    t.end();
  });
}

t.test('without a range the volume has 1 GiB', (t) => {
  t.equal(chooseSize(undefined), gib);
  t.end();
});

const refused: readonly [string, bigint, bigint, string, RegExp][] = [
  ['a range that says nothing', 0n, 0n, 'INVALID_ARGUMENT', /neither required_bytes nor limit_bytes/],
  ['a negative required size', -1n, 0n, 'INVALID_ARGUMENT', /required_bytes is -1/],
  ['a negative limit', 1n, -5n, 'INVALID_ARGUMENT', /limit_bytes is -5/],
  ['a limit below the required size', 2n * gib, gib, 'INVALID_ARGUMENT', /limit_bytes 1073741824 is below/],
  ['a size beyond 2^53', maxVolumeBytes + 1n, 0n, 'OUT_OF_RANGE', /9007199254740993 is more than .*8 PiB/],
  ['the largest int64', (1n << 63n) - 1n, 0n, 'OUT_OF_RANGE', /9223372036854775807/],
  ['an exact size that no device has', mib + 1n, mib + 1n, 'OUT_OF_RANGE', /multiple of 4096; raise limit_bytes/],
  ['a range between two aligned sizes', mib + 1n, mib + 4095n, 'OUT_OF_RANGE', /holds no size/],
  ['a limit below the smallest volume', 0n, mib - 1n, 'OUT_OF_RANGE', /at least 1048576 bytes/],
];

for (const [what, requiredBytes, limitBytes, code, message] of refused) {
  t.test(`${what} is refused with ${code}`, (t) => {
    t.throws(() => chooseSize({ requiredBytes, limitBytes }), { code, message });
    t.end();
  });
}

t.test('a chosen size is always aligned, large enough and never above the limit', (t) => {
  let sizes = 0;
  for (let required = 0n; required < 12_300n; required += 61n) {
    for (let extra = 0n; extra < 9_000n; extra += 997n) {
      const range = { requiredBytes: minVolumeBytes + required, limitBytes: minVolumeBytes + required + extra };
      try {
        const size = chooseSize(range);
        sizes++;
        if (size % 4096n !== 0n || !sizeFits(size, range)) t.fail(`${size.toString()} for ${extra.toString()}`);
      } catch (error) {
        // Only a range without any multiple of 4096 in it may be refused.
        const next = ((range.requiredBytes + 4095n) / 4096n) * 4096n;
        if (!isDriverError(error, 'OUT_OF_RANGE') || next <= range.limitBytes) throw error;
      }
    }
  }
  t.ok(sizes > 1_000);
  t.end();
});

t.test('an existing size fits a range between its ends, both included', (t) => {
  t.ok(sizeFits(1n, undefined));
  const range = { requiredBytes: 10n, limitBytes: 20n };
  t.strictSame(
    [9n, 10n, 20n, 21n].map((size) => sizeFits(size, range)),
    [false, true, true, false],
  );
  t.ok(sizeFits(1n << 52n, { requiredBytes: 10n, limitBytes: 0n }), 'a limit of 0 is none');
  t.end();
});

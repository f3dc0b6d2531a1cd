import t from 'tap';
import { parseQuantity } from '../../src/domain/quantity.js';

for (const [text, value] of [
  ['0', 0n],
  ['500', 500n],
  ['10k', 10_000n],
  ['2M', 2_000_000n],
  ['2Mi', 2n << 20n],
  ['1Ki', 1024n],
  ['3G', 3_000_000_000n],
  ['3Gi', 3n << 30n],
  ['1T', 1_000_000_000_000n],
  ['1Ti', 1n << 40n],
  ['9007199254740991', (1n << 53n) - 1n],
] as const) {
  t.test(`${text} is ${value}`, (t) => {
    t.equal(parseQuantity(text), value);
    t.end();
  });
}

for (const text of [
  '',
  '-1',
  '+1',
  '1.5',
  ' 1',
  '1 ',
  '1K',
  '1m',
  '1ki',
  '1e3',
  '0x10',
  'Mi',
  '9007199254740992',
  '9000Ti',
  '٣',
]) {
  t.test(`"${text}" is no quantity`, (t) => {
    t.equal(parseQuantity(text), undefined);
    t.end();
  });
}

import t from 'tap';
import { parseMutableParameters, withMutableParameters } from '../../../src/backend/cephfs/mutable-parameters.js';
import { parseParameters } from '../../../src/backend/cephfs/parameters.js';

const refused = (message: RegExp) => ({ code: 'INVALID_ARGUMENT', message });

t.test('what is named is read, 0 files is any number', (t) => {
  t.strictSame(parseMutableParameters({}), { maxFiles: undefined, layoutPool: undefined });
  t.strictSame(parseMutableParameters({ maxFiles: '10k', layoutPool: 'ssd' }), {
    maxFiles: 10_000n,
    layoutPool: 'ssd',
  });
  t.strictSame(parseMutableParameters({ maxFiles: '0' }).maxFiles, 0n);
  t.end();
});

t.test("they count before the StorageClass's", (t) => {
  const parameters = parseParameters({ maxFiles: '5', pool: 'hdd' });
  const after = (mutable: Record<string, string>) => withMutableParameters(parameters, parseMutableParameters(mutable));
  t.strictSame(after({}), parameters);
  t.strictSame(after({ maxFiles: '7' }), { ...parameters, maxFiles: 7n });
  t.strictSame(after({ maxFiles: '0', layoutPool: 'ssd' }), { ...parameters, maxFiles: undefined, pool: 'ssd' });
  t.end();
});

t.test('what can not be is refused by its name', (t) => {
  t.throws(() => parseMutableParameters({ maxFiles: '-1' }), refused(/^mutable parameter maxFiles is "-1"/));
  t.throws(() => parseMutableParameters({ layoutPool: '' }), refused(/^mutable parameter layoutPool is ""/));
  t.throws(() => parseMutableParameters({ pool: 'ssd' }), refused(/"pool" is unknown: did you mean "layoutPool"/));
  t.throws(() => parseMutableParameters({ 'max-files': '1' }), refused(/did you mean "maxFiles"/));
  t.end();
});

import t from 'tap';
import { DriverError, isDriverError } from '../../src/domain/errors.js';

t.test('an error carries its code, its cause and facts for the log', (t) => {
  const cause = new Error('inner');
  const error = new DriverError('NOT_FOUND', 'image a is not in pool b', { cause, details: { errno: 2 } });
  t.equal(error.code, 'NOT_FOUND');
  t.equal(error.cause, cause);
  t.strictSame(error.details, { errno: 2 });
  t.equal(String(error), 'DriverError: image a is not in pool b');
  t.strictSame(new DriverError('ABORTED', 'x').details, {});
  t.notOk('cause' in new DriverError('ABORTED', 'x'));
  t.end();
});

t.test('an error is told by its class, and by its code when one is asked for', (t) => {
  const error = new DriverError('ABORTED', 'x');
  t.ok(isDriverError(error));
  t.ok(isDriverError(error, 'ABORTED'));
  t.notOk(isDriverError(error, 'INTERNAL'));
  t.notOk(isDriverError({ code: 'ABORTED', message: 'x' }, 'ABORTED'));
  t.notOk(isDriverError(undefined));
  t.end();
});

import { status } from '@grpc/grpc-js';
import t from 'tap';
import { grpcStatus, toStatus } from '../../src/csi/status.js';
import { DriverError, errorCodes } from '../../src/domain/errors.js';

for (const code of errorCodes) {
  t.test(`${code} goes over the wire as gRPC's ${code}, with its sentence and nothing else`, (t) => {
    const error = new DriverError(code, 'image a is gone', { cause: new Error('inner'), details: { errno: 2 } });
    const reply = toStatus(error, 'id-1');
    t.equal(reply.code, status[code]);
    t.equal(reply.details, 'image a is gone');
    t.strictSame(reply.metadata.getMap(), {}, "CSI wants gRPC's details empty");
    t.end();
  });
}

t.test('no code is left out of the table, and none is OK', (t) => {
  t.strictSame(Object.keys(grpcStatus).sort(), [...errorCodes].sort());
  t.notOk(Object.values(grpcStatus).includes(status.OK as never));
  t.end();
});

t.test('an unknown error is INTERNAL and leads to the log without a word of its inside', (t) => {
  const inner = new TypeError('reading secretKey of undefined', { cause: new Error('deep cause') });
  for (const error of [inner, 'a thrown text', undefined, { code: 'NOT_FOUND', message: 'an impostor' }]) {
    const reply = toStatus(error, 'request-42');
    t.equal(reply.code, status.INTERNAL);
    t.match(reply.details, /request id request-42/);
    t.notMatch(reply.details, /secretKey|deep cause|TypeError|at .*:\d+:\d+|thrown|impostor/);
    t.strictSame(reply.metadata.getMap(), {});
  }
  t.end();
});

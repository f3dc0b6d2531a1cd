import { MountError, type MountErrorKind } from 'mount-utils-ts';
import t from 'tap';
import { DriverError } from '../../src/domain/errors.js';
import { asDriverError } from '../../src/platform/mount-failure.js';

const codes: Readonly<Record<MountErrorKind, string>> = {
  FilesystemMismatch: 'FAILED_PRECONDITION',
  HasFilesystemErrors: 'FAILED_PRECONDITION',
  UnformattedReadOnly: 'FAILED_PRECONDITION',
  FormatFailed: 'INTERNAL',
  GetDiskFormatFailed: 'INTERNAL',
  Unknown: 'INTERNAL',
};

for (const [kind, code] of Object.entries(codes) as [MountErrorKind, string][]) {
  t.test(`a mount failure of kind ${kind} is ${code}, with the same sentence`, (t) => {
    const error = new MountError(kind, 'device /dev/rbd0 holds xfs');
    const driverError = asDriverError(error);
    t.ok(driverError instanceof DriverError);
    t.match(driverError, { code, message: 'device /dev/rbd0 holds xfs' });
    t.equal((driverError as DriverError).cause, error);
    t.end();
  });
}

for (const failure of ['timed-out', 'aborted'] as const) {
  t.test(`a mount that ${failure} is ABORTED: it may still be going on`, (t) => {
    t.match(asDriverError(new MountError('FormatFailed', 'mkfs was stopped', { failure })), { code: 'ABORTED' });
    t.end();
  });
}

t.test('a program that is missing or was killed is no reason to say that it goes on', (t) => {
  for (const failure of ['not-found', 'killed'] as const)
    t.match(asDriverError(new MountError('Unknown', 'mount', { failure })), { code: 'INTERNAL' });
  t.end();
});

t.test('any other error passes as it is', (t) => {
  for (const error of [new DriverError('NOT_FOUND', 'a'), new Error('b'), 'c', undefined])
    t.equal(asDriverError(error), error);
  t.end();
});

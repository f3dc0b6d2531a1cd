import t from 'tap';
import { MountError, programError } from '../src/mount-error.js';

const FAILED = { exitCode: 32, stdout: '', stderr: 'no such thing\n' };

void t.test('the message says what failed, how the program ended, what it said and what to do', (t) => {
  const error = programError({
    kind: 'Unknown',
    what: 'could not x',
    program: 'mount',
    result: FAILED,
    advice: 'Do y.',
  });
  t.ok(error instanceof MountError);
  t.equal(error.message, 'could not x: mount exited with 32: no such thing. Do y.');
  t.equal(error.kind, 'Unknown');
  t.equal(error.program, 'mount');
  t.equal(error.exitCode, 32);
  t.end();
});

void t.test('a program that did not end by itself is told from one that failed', (t) => {
  for (const [failure, says] of [
    ['not-found', /is not installed/],
    ['timed-out', /did not end in time/],
    ['aborted', /given up/],
    ['killed', /was killed/],
  ] as const) {
    const result = { exitCode: null, stdout: '', stderr: '', failure };
    const error = programError({ kind: 'Unknown', what: 'x', program: 'p', result });
    t.match(error.message, says);
    t.equal(error.failure, failure);
  }
  t.end();
});

void t.test('at most the last 500 characters of stderr are repeated', (t) => {
  const result = { ...FAILED, stderr: `${'a'.repeat(5000)}${'b'.repeat(490)}end` };
  const { message } = programError({ kind: 'Unknown', what: 'x', program: 'p', result });
  t.ok(message.endsWith('end'));
  t.ok(message.length < 560);
  t.end();
});

void t.test('secrets are masked before the text is cut, the longer one first', (t) => {
  const result = { ...FAILED, stderr: `secret=hunter2hunter2${'.'.repeat(490)}` };
  const secrets = ['hunter2', 'secret=hunter2hunter2'];
  const { message } = programError({ kind: 'Unknown', what: 'x', program: 'p', result, secrets });
  t.notMatch(message, /unter2/);
  t.match(message, /\*\*\*/);
  t.end();
});

import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import t from 'tap';
import { watchDaemons } from '../../src/holder/watch-daemons.js';
import { localDaemons } from '../../src/platform/daemons.js';

t.test('a look that fails is logged, and the holder lives', async (t) => {
  const lines: string[] = [];
  const closing = new AbortController();
  const find = async () => Promise.reject(new Error('no more descriptors'));
  const log = pino({}, { write: (line) => lines.push(line) });
  const watching = watchDaemons({ ...localDaemons, find }, log, closing.signal);
  await sleep(50);
  t.match(lines.join(''), /can not be looked for/);
  closing.abort();
  await t.resolves(watching, 'and it ends when it is to end');
});

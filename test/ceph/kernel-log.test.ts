import { access, constants, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { kernelLog, kernelLogAt } from '../../src/ceph/native/kernel-log.js';

const device = '/dev/kmsg';
const skip = await access(device, constants.R_OK | constants.W_OK).then(
  () => false,
  () => `${device} can't be read and written here`,
);

t.test('what is logged after the mark is read, without its prefix; what was before is not', { skip }, async (t) => {
  const line = (what: string) => `cuttle test ${process.pid}: ${what}`;
  await writeFile(device, `${line('before')}\n`);
  const mark = await kernelLog.mark();
  await writeFile(device, `${line('one')}\n`);
  await writeFile(device, `${line('two; with a semicolon')}\n`);
  const lines = (await mark.lines()).filter((each) => each.startsWith(line('')));
  t.strictSame(lines, [line('one'), line('two; with a semicolon')]);
  t.strictSame(
    (await mark.lines()).filter((each) => each.startsWith(line(''))),
    [],
    'each line once',
  );
  await mark.close();
});

t.test('where there is no log, there are no lines', async (t) => {
  const places = { absent: join(t.testdirName, 'absent'), 'not a device': join(t.testdir({ empty: '' }), 'empty') };
  for (const [what, path] of Object.entries(places)) {
    const mark = await kernelLogAt(path).mark();
    t.strictSame(await mark.lines(), [], what);
    await mark.close();
  }
});

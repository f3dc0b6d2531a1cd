import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { mappedImages } from '../../../src/backend/rbd/mapped-images.js';

t.test('images are counted by mapper, other kinds of nbd left out', async (t) => {
  const directory = t.testdir({
    run: { rbd: { first: { image: '' }, second: { image: '' } } },
    bus: { devices: { 0: {}, 1: {}, 7: {} } },
    block: { nbd0: { pid: '100\n' }, nbd1: { pid: '200\n' }, nbd2: {}, loop0: {} },
    proc: { 100: { cmdline: '/usr/bin/rbd-nbd\0map\0rbd/a\0' }, 200: { cmdline: 'qemu-nbd\0-c\0/dev/nbd1\0' } },
  });
  const counts = await mappedImages({
    runDir: join(directory, 'run'),
    sysBusRbd: join(directory, 'bus'),
    sysBlock: join(directory, 'block'),
    proc: join(directory, 'proc'),
  });
  t.same(Object.fromEntries(counts), { krbd: 3, nbd: 1, userspace: 2 });
});

t.test('a node without any of the tables has none', async (t) => {
  const nowhere = join(t.testdir(), 'nothing');
  const counts = await mappedImages({ runDir: nowhere, sysBusRbd: nowhere, sysBlock: nowhere, proc: nowhere });
  t.same(Object.fromEntries(counts), { krbd: 0, nbd: 0, userspace: 0 });
});

t.test('a device whose process has just ended is not counted', async (t) => {
  const directory = t.testdir({});
  await mkdir(join(directory, 'nbd0'));
  await writeFile(join(directory, 'nbd0', 'pid'), '999\n');
  const counts = await mappedImages({ runDir: directory, sysBlock: directory, proc: directory, sysBusRbd: directory });
  t.equal(counts.get('nbd'), 0);
});

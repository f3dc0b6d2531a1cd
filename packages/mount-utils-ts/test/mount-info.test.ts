import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import {
  coveringMount,
  isShared,
  mountPointOf,
  parseMountInfo,
  readMountInfo,
  searchMountPoints,
} from '../src/mount-info.js';
import { MountError } from '../src/mount-error.js';
import { workspace } from './support/workspace.js';

const SAMPLE = `22 27 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:13 - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
36 27 98:0 /mnt1 /mnt/parent rw,noatime master:1 - ext3 /dev/root rw,errors=continue
37 27 0:40 / /mnt/slave rw shared:7 master:2 propagate_from:3 - tmpfs tmpfs rw,size=1024k
38 27 0:41 / /mnt/none rw - tmpfs  rw
39 27 0:42 / /mnt/with\\040space\\011tab\\134back\\043hash rw unbindable - tmpfs my\\040source rw
40 27 0:43 /sub\\040dir /mnt/\\303\\244-ü rw - fuse.some-fs - rw,user_id=0
41 27 0:44 / /mnt/a-b/- rw - overlay overlay rw,lowerdir=/a\\054b:/c\\040d,upperdir=/u
42 27 0:45 / /mnt/new\\012line rw - 9p host rw,trans=virtio
`;

void t.test('every field of a line is read', (t) => {
  t.strictSame(parseMountInfo(SAMPLE)[2], {
    id: 36,
    parentId: 27,
    major: 98,
    minor: 0,
    root: '/mnt1',
    mountPoint: '/mnt/parent',
    mountOptions: ['rw', 'noatime'],
    optionalFields: ['master:1'],
    fsType: 'ext3',
    source: '/dev/root',
    superOptions: ['rw', 'errors=continue'],
  });
  t.end();
});

void t.test('optional fields may be several or none at all', (t) => {
  const table = parseMountInfo(SAMPLE);
  t.strictSame(table[3]?.optionalFields, ['shared:7', 'master:2', 'propagate_from:3']);
  t.strictSame(table[4]?.optionalFields, []);
  t.strictSame(table[5]?.optionalFields, ['unbindable']);
  t.end();
});

void t.test('an empty source stays empty and moves no other field', (t) => {
  const entry = parseMountInfo(SAMPLE)[4];
  t.equal(entry?.source, '');
  t.equal(entry?.fsType, 'tmpfs');
  t.strictSame(entry?.superOptions, ['rw']);
  t.end();
});

void t.test('octal escapes become the characters that they stand for, in paths, roots and sources', (t) => {
  const table = parseMountInfo(SAMPLE);
  t.equal(table[5]?.mountPoint, '/mnt/with space\ttab\\back#hash');
  t.equal(table[5]?.source, 'my source');
  t.equal(table[6]?.root, '/sub dir');
  t.equal(table[8]?.mountPoint, '/mnt/new\nline');
  t.end();
});

void t.test('escaped bytes that form one UTF-8 character are joined, beside plain Unicode', (t) => {
  t.equal(parseMountInfo(SAMPLE)[6]?.mountPoint, '/mnt/ä-ü');
  t.end();
});

void t.test('a lone dash in a path or as a source is not taken for the separator', (t) => {
  const table = parseMountInfo(SAMPLE);
  t.equal(table[7]?.mountPoint, '/mnt/a-b/-');
  t.equal(table[7]?.fsType, 'overlay');
  t.equal(table[6]?.source, '-');
  t.end();
});

void t.test('an escaped comma inside an option does not split it', (t) => {
  t.strictSame(parseMountInfo(SAMPLE)[7]?.superOptions, ['rw', 'lowerdir=/a,b:/c d', 'upperdir=/u']);
  t.end();
});

void t.test('a line that is not mountinfo is an error that shows the line', (t) => {
  for (const line of [
    'nonsense',
    '1 2 x:y / / rw - tmpfs t rw',
    '1 2 0:1 / /mnt rw shared:1',
    'a 2 0:1 / / rw - t s o',
  ]) {
    t.throws(() => parseMountInfo(`${line}\n`), MountError, line);
  }
  t.end();
});

void t.test('only a shared mount is shared: a slave is not', (t) => {
  const table = parseMountInfo(SAMPLE);
  t.strictSame(table.slice(0, 5).map(isShared), [true, true, false, true, false]);
  t.end();
});

void t.test('the table of this process can be read and has one root', async (t) => {
  const table = await readMountInfo();
  t.ok(mountPointOf('/proc', table));
  t.equal(coveringMount('/proc/self', table)?.fsType, 'proc');
});

void t.test('a table is read from the path that is given', async (t) => {
  const { dir } = await workspace(t);
  await writeFile(join(dir, 'mountinfo'), SAMPLE);
  t.equal((await readMountInfo(join(dir, 'mountinfo'))).length, 9);
  await t.rejects(readMountInfo(join(dir, 'absent')), { code: 'ENOENT' });
});

const STACK = parseMountInfo(`27 1 254:0 / / rw - ext4 /dev/vda rw
30 27 0:30 / /a/b rw - tmpfs lower rw
31 30 0:31 / /a/b rw - tmpfs upper rw
32 27 0:32 / /hidden/below rw - tmpfs below rw
33 27 0:33 / /hidden rw - tmpfs above rw
35 27 0:35 / /beneath rw - tmpfs top rw
34 27 0:34 / /moved rw - tmpfs last rw
`);

void t.test('of stacked mounts the topmost is found', (t) => {
  t.equal(mountPointOf('/a/b', STACK)?.source, 'upper');
  t.equal(mountPointOf('/a', STACK), undefined);
  t.equal(mountPointOf('/a/b/c', STACK), undefined);
  t.end();
});

void t.test('parent ids decide which of two layers is on top, not the order of the lines', (t) => {
  const reversed = [...STACK].reverse();
  t.equal(mountPointOf('/a/b', reversed)?.source, 'upper');
  t.end();
});

void t.test('a path lies on the mount that hides the others', (t) => {
  t.equal(coveringMount('/a/b/c', STACK)?.source, 'upper');
  t.equal(coveringMount('/hidden/below/x', STACK)?.source, 'above');
  t.equal(coveringMount('/elsewhere', STACK)?.source, '/dev/vda');
  t.equal(coveringMount('/a/bc', STACK)?.source, '/dev/vda');
  t.end();
});

const BINDS = parseMountInfo(`27 1 254:0 / / rw - ext4 /dev/vda rw
40 27 7:1 / /staging rw - ext4 /dev/loop1 rw
41 27 7:1 / /pods/one rw - ext4 /dev/loop1 rw
42 27 7:1 /dir /pods/two rw - ext4 /dev/loop1 rw
43 27 0:50 / /t1 rw - tmpfs tmpfs rw
44 27 0:51 / /t2 rw - tmpfs tmpfs rw
45 27 254:0 /var/data /pods/three rw - ext4 /dev/vda rw
`);

void t.test('references are found by device number and root, not by the name of the source', (t) => {
  t.strictSame(searchMountPoints('/staging', BINDS), ['/pods/one']);
  t.strictSame(searchMountPoints('/staging/dir', BINDS), ['/pods/two']);
  t.strictSame(searchMountPoints('/t1', BINDS), []);
  t.strictSame(searchMountPoints('/var/data', BINDS), ['/pods/three']);
  t.strictSame(searchMountPoints('/var', BINDS), []);
  t.end();
});

void t.test('a table that does not hold the path at all is an error', (t) => {
  t.throws(() => searchMountPoints('/elsewhere', BINDS.slice(1)), /no mount in the table holds \/elsewhere/);
  t.end();
});

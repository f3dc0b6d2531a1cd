import t from 'tap';
import { getDeviceNameFromMount } from '../src/device-name.js';
import { parseMountInfo } from '../src/mount-info.js';

const TABLE = parseMountInfo(`27 1 254:0 / / rw - ext4 /dev/vda rw
40 27 7:1 / /staging rw - ext4 /dev/loop1 rw
41 27 7:1 /dir /pods/one rw - ext4 /dev/loop1 rw
43 27 0:50 / /t1 rw - tmpfs tmpfs rw
44 27 0:51 / /t2 rw - tmpfs tmpfs rw
`);

void t.test('the device behind a mount is named, with the number of mounts that use it', (t) => {
  t.strictSame(getDeviceNameFromMount('/staging', TABLE), { device: '/dev/loop1', refCount: 2 });
  t.end();
});

void t.test('two file systems whose sources have the same name are not counted as one', (t) => {
  t.strictSame(getDeviceNameFromMount('/t1', TABLE), { device: 'tmpfs', refCount: 1 });
  t.end();
});

void t.test('a path where nothing is mounted has no device', (t) => {
  t.strictSame(getDeviceNameFromMount('/staging/dir', TABLE), { device: undefined, refCount: 0 });
  t.end();
});

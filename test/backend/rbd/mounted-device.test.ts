import type { MountInfo } from 'mount-utils-ts';
import t from 'tap';
import { deviceOf, isDeviceNode } from '../../../src/backend/rbd/mounted-device.js';

const luks = {
  find: async (name: string) =>
    Promise.resolve(name === 'cuttle-1' ? { device: '/dev/dm-3', over: ['rbd0'], readOnly: false } : undefined),
};

const cases: readonly [string, Pick<MountInfo, 'root' | 'source'>, string, boolean][] = [
  ['a file system on a plain device', { root: '/', source: '/dev/rbd0' }, '/dev/rbd0', false],
  [
    'one on a device-mapper device, as mount(8) names it',
    { root: '/', source: '/dev/mapper/cuttle-1' },
    '/dev/dm-3',
    false,
  ],
  ['one on a device of somebody else’s', { root: '/', source: '/dev/mapper/vg-root' }, '/dev/mapper/vg-root', false],
  ['a bound device node', { root: '/loop7', source: 'devtmpfs' }, '/dev/loop7', true],
  ['a bound node of the device mapper', { root: '/dm-3', source: 'devtmpfs' }, '/dev/dm-3', true],
  ['one that was made without udev', { root: '/mapper/cuttle-1', source: 'devtmpfs' }, '/dev/dm-3', true],
];
for (const [what, entry, device, isNode] of cases) {
  t.test(`${what} is ${device}`, async (t) => {
    t.equal(await deviceOf(entry as MountInfo, luks), device);
    t.equal(isDeviceNode(entry as MountInfo), isNode);
  });
}

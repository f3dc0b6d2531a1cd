import assert from 'node:assert/strict';
import { textAt } from '../cluster/kinds.js';
import { devicePath, volumePath } from '../workload.js';
import { deleteEverything, objectOf, type Scenario } from './scenario.js';

const file = `${volumePath}/file`;
const read = `cat ${file} >"$said"`;

/** Images through qemu-storage-daemon, the mapper that needs no module of the kernel. */
export const rbd: readonly Scenario[] = [
  {
    title: 'rbd: a claim is bound to an image, and what a pod writes the next one reads',
    run: async ({ work, ceph }) => {
      const volume = await work.claim('rbd-a', 'rbd');
      assert.ok((await ceph.images()).includes(objectOf(volume)), `no image ${objectOf(volume)}`);
      await work.run('rbd-writer', 'rbd-a', `echo kept >${file} && sync`);
      assert.equal(await work.run('rbd-reader', 'rbd-a', read), 'kept');
    },
  },
  {
    title: 'rbd: a raw block volume keeps its bytes from pod to pod',
    run: async ({ work }) => {
      await work.claim('rbd-block', 'rbd', { block: true });
      const block = { block: true };
      await work.run('block-writer', 'rbd-block', `printf kept | dd of=${devicePath} conv=fsync,notrunc`, block);
      assert.equal(await work.run('block-reader', 'rbd-block', `head -c 4 ${devicePath} >"$said"`, block), 'kept');
    },
  },
  {
    title: 'rbd: an encrypted volume is read by the next pod, and its image has a LUKS header',
    run: async ({ work, ceph }) => {
      const image = objectOf(await work.claim('rbd-secret', 'rbd-encrypted'));
      await work.run('secret-writer', 'rbd-secret', `echo kept >${file} && sync`);
      assert.equal(await work.run('secret-reader', 'rbd-secret', read), 'kept');
      assert.equal((await ceph.firstBytes(image, 4)).toString('latin1'), 'LUKS');
    },
  },
  {
    title: 'rbd: a volume grows under a pod that uses it',
    run: async ({ work }) => {
      await work.claim('rbd-grows', 'rbd-xfs');
      await work.startPod('rbd-waits-for-room', 'rbd-grows', untilLarger(1_500));
      await work.running('rbd-waits-for-room');
      await work.grow('rbd-grows', '2Gi');
      await work.finished('rbd-waits-for-room');
      await work.hasGrown('rbd-grows', '2Gi');
    },
  },
  {
    title: 'rbd: a snapshot is restored as it was, whatever was written after it',
    run: async ({ work }) => {
      await work.snapshot('rbd-snapshot', 'rbd-a');
      await work.run('rbd-overwriter', 'rbd-a', `echo later >${file} && sync`);
      await work.claim('rbd-restored', 'rbd', { from: { kind: 'VolumeSnapshot', name: 'rbd-snapshot' } });
      assert.equal(await work.run('restored-reader', 'rbd-restored', read), 'kept');
      assert.equal(await work.run('source-reader', 'rbd-a', read), 'later');
    },
  },
  {
    title: 'rbd: a claim is cloned, and the clone goes its own way',
    run: async ({ work }) => {
      await work.claim('rbd-clone', 'rbd', { from: { kind: 'PersistentVolumeClaim', name: 'rbd-a' } });
      assert.equal(await work.run('clone-reader', 'rbd-clone', `${read} && echo own >${file} && sync`), 'later');
      assert.equal(await work.run('cloned-reader', 'rbd-a', read), 'later');
    },
  },
  {
    title: 'rbd: a VolumeAttributesClass sets limits, another changes them in use',
    run: async ({ work, api, ceph }) => {
      const image = objectOf(await work.claim('rbd-limited', 'rbd', { attributes: 'rbd-slow' }));
      assert.equal(await ceph.imageSetting(image, 'rbd_qos_iops_limit'), '500');
      await work.startPod('limited', 'rbd-limited', `until [ -e ${volumePath}/stop ]; do sleep 1; done`);
      await work.running('limited');
      await work.modify('rbd-limited', 'rbd-fast');
      assert.equal(await ceph.imageSetting(image, 'rbd_qos_iops_limit'), '9000');
      assert.equal(textAt(await api.get('Pod', 'limited'), 'status', 'phase'), 'Running');
      await work.run('stopper', 'rbd-limited', `touch ${volumePath}/stop`);
      await work.finished('limited');
    },
  },
  {
    title: 'rbd: when all of it is deleted, no object, no attachment and no image is left',
    run: deleteEverything,
  },
];

/** A script that ends when the volume shows more than so many MiB. */
export function untilLarger(mib: number): string {
  return `until [ "$(df -Pm ${volumePath} | awk 'END { print $2 }')" -gt ${mib} ]; do sleep 1; done`;
}

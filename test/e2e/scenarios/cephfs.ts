import assert from 'node:assert/strict';
import { volumePath } from '../workload.js';
import { untilLarger } from './rbd.js';
import { deleteEverything, objectOf, type Scenario } from './scenario.js';

const file = `${volumePath}/file`;
const read = `cat ${file} >"$said"`;
const shared = { shared: true };

/** Directories through ceph-fuse. */
export const cephfs: readonly Scenario[] = [
  {
    title: 'cephfs: a claim is bound to a directory, and what a pod writes the next one reads',
    run: async ({ work, ceph }) => {
      const volume = await work.claim('fs-a', 'cephfs', shared);
      assert.ok((await ceph.directories()).includes(objectOf(volume)), `no directory ${objectOf(volume)}`);
      await work.run('fs-writer', 'fs-a', `echo kept >${file} && sync`);
      assert.equal(await work.run('fs-reader', 'fs-a', read), 'kept');
    },
  },
  {
    title: 'cephfs: two pods share a volume and see what the other writes',
    run: async ({ work }) => {
      const script = (own: string, other: string): string =>
        `echo ${own} >${volumePath}/${own}; until [ -s ${volumePath}/${other} ]; do sleep 1; done; cat ${volumePath}/${other} >"$said"`;
      await work.startPod('left', 'fs-a', script('left', 'right'));
      await work.startPod('right', 'fs-a', script('right', 'left'));
      assert.deepEqual(await Promise.all([work.finished('left'), work.finished('right')]), ['right', 'left']);
    },
  },
  {
    title: 'cephfs: a volume grows under a pod that uses it',
    run: async ({ work }) => {
      await work.claim('fs-grows', 'cephfs', shared);
      await work.startPod('fs-waits-for-room', 'fs-grows', untilLarger(1_500));
      await work.running('fs-waits-for-room');
      await work.grow('fs-grows', '2Gi');
      await work.finished('fs-waits-for-room');
      await work.hasGrown('fs-grows', '2Gi');
    },
  },
  {
    title: 'cephfs: a snapshot is restored as it was, whatever was written after it',
    run: async ({ work }) => {
      await work.snapshot('fs-snapshot', 'fs-a');
      await work.run('fs-overwriter', 'fs-a', `echo later >${file} && sync`);
      await work.claim('fs-restored', 'cephfs', {
        ...shared,
        from: { kind: 'VolumeSnapshot', name: 'fs-snapshot' },
      });
      assert.equal(await work.run('fs-restored-reader', 'fs-restored', read), 'kept');
      assert.equal(await work.run('fs-source-reader', 'fs-a', read), 'later');
    },
  },
  {
    title: 'cephfs: a claim is cloned, and the clone goes its own way',
    run: async ({ work }) => {
      await work.claim('fs-clone', 'cephfs', { ...shared, from: { kind: 'PersistentVolumeClaim', name: 'fs-a' } });
      assert.equal(await work.run('fs-clone-reader', 'fs-clone', `${read} && echo own >${file} && sync`), 'later');
      assert.equal(await work.run('fs-cloned-reader', 'fs-a', read), 'later');
    },
  },
  {
    title: 'cephfs: a VolumeAttributesClass sets how many files there may be, another changes it',
    run: async ({ work, ceph }) => {
      const directory = objectOf(await work.claim('fs-limited', 'cephfs', { ...shared, attributes: 'cephfs-few' }));
      assert.equal(await ceph.mostFiles(directory), '5');
      await work.modify('fs-limited', 'cephfs-many');
      assert.equal(await ceph.mostFiles(directory), '500');
    },
  },
  {
    title: 'cephfs: when all of it is deleted, no object, no attachment and no directory is left',
    run: deleteEverything,
  },
];

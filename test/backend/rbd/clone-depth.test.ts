import t from 'tap';
import { boundedDepth, type ChainStart } from '../../../src/backend/rbd/clone-depth.js';
import { featureBits } from '../../../src/backend/rbd/features.js';
import type { CephPool } from '../../../src/ceph/client.js';
import { testContext } from '../../platform/test-context.js';

const deepFlatten = featureBits['deep-flatten'];
const place = { clusterId: 'a', pool: 'p', namespace: '' };

/** Images 0 <- 1 <- 2 ..., each a clone of the one before. @param features by image; 0n has no deep-flatten */
function chain(features: readonly bigint[]) {
  const urged: string[] = [];
  const pool = {
    snapshots: {
      parent: async (_ctx: unknown, imageId: string) =>
        Promise.resolve(imageId === '0' ? undefined : { ...place, imageId: `${Number(imageId) - 1}`, snapshotId: 1n }),
    },
    images: {
      headerById: async (_ctx: unknown, imageId: string) => Promise.resolve({ features: features[Number(imageId)] }),
    },
  } as unknown as CephPool;
  const last = `${features.length - 1}`;
  const depthOf = async (hard: number, snapshotId?: bigint) => {
    const start: ChainStart = { place, pool, imageId: last, image: `image-${last}`, snapshotId };
    const deps = {
      limits: { soft: 1, hard },
      open: async () => Promise.resolve(pool),
      urge: async (_place: unknown, { id }: { id: string }) => {
        urged.push(id);
        return Promise.resolve({ version: 1, image: id, done: 3, total: 10 } as const);
      },
    };
    return boundedDepth(testContext(), deps, start);
  };
  return { depthOf, urged };
}

t.test('the depth of a clone is one more than its source has', async (t) => {
  t.equal(await chain([deepFlatten]).depthOf(8), 1);
  t.equal(await chain([deepFlatten, deepFlatten, deepFlatten]).depthOf(3), 3);
});

t.test('beyond the hard limit the source is flattened first, and the progress is told', async (t) => {
  const { depthOf, urged } = chain([deepFlatten, deepFlatten, deepFlatten]);
  await t.rejects(depthOf(2, 7n), { code: 'ABORTED', message: /image-2 of p is being flattened first \(3 of 10 obj/ });
  t.strictSame(urged, ['2']);
});

t.test('a snapshot without deep-flatten keeps its parent: an image below is flattened', async (t) => {
  const { depthOf, urged } = chain([deepFlatten, deepFlatten, 0n]);
  await t.rejects(depthOf(2, 7n), { code: 'ABORTED' });
  t.strictSame(urged, ['1']);
});

t.test('a volume itself can be flattened whatever its features, its snapshot cannot', async (t) => {
  const { depthOf, urged } = chain([0n, 0n, 0n]);
  await t.rejects(depthOf(2), { code: 'ABORTED' });
  t.strictSame(urged, ['2']);
  await t.rejects(depthOf(2, 7n), { code: 'FAILED_PRECONDITION', message: /lack the feature deep-flatten/ });
});

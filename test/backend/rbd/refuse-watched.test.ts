import t from 'tap';
import { type ImageHolders, refuseWatched } from '../../../src/backend/rbd/refuse-watched.js';
import type { CephPool } from '../../../src/ceph/client.js';
import type { RbdVolumeId } from '../../../src/domain/volume-id.js';
import { testContext } from '../../platform/test-context.js';

const id: RbdVolumeId = { backend: 'rbd', clusterId: 'a', pool: 'p', namespace: '', image: 'x' };
const [own, flattener, stranger] = ['10.0.0.1:0/1', '10.0.0.2:0/2', '10.0.0.3:0/3'];

/** @param looks who watches, look by look; the last one stays */
async function refuse(looks: string[][], flattenedBy?: string): Promise<void> {
  const watchers = async () => {
    const now = (looks.length > 1 ? looks.shift() : looks[0]) ?? [];
    return Promise.resolve(now.map((address) => ({ address: `v2:${address}` })));
  };
  const holders: ImageHolders = {
    letGo: async () => Promise.resolve(flattenedBy),
    isOwn: (address) => address === own,
  };
  await refuseWatched(testContext(), { images: { watchers } } as unknown as CephPool, id, 'image id', holders);
}

t.test('what the driver itself has open for a moment is waited for', async () => {
  await refuse([[own], [own], []]);
});

t.test('a client of somebody else is refused at once, and named alone', async (t) => {
  await t.rejects(refuse([[own, flattener, stranger]], flattener), {
    code: 'FAILED_PRECONDITION',
    message: /in use by the client at 10\.0\.0\.3:0\/3:/,
  });
  await t.rejects(refuse([[flattener]]), { code: 'FAILED_PRECONDITION' });
});

t.test('another controller that flattens it is worth a repetition', async (t) => {
  await t.rejects(refuse([[flattener]], flattener), { code: 'ABORTED', message: /controller at 10\.0\.0\.2:0\/2/ });
});

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { formatVolumeId } from '../../src/domain/volume-id.js';
import { blockCapability, mountCapability } from '../harness/requests.js';
import { hasImage } from './images.js';
import { outcomeOf, refusal } from './outcome.js';
import { Site } from './site.js';

t.setTimeout(120_000);

const site = await Site.open(t);
const { cluster, pool } = site;

function idOf(image: string, place: { pool?: string; namespace?: string; clusterId?: string } = {}): string {
  const { clusterId = 'default', namespace = '' } = place;
  return formatVolumeId({ backend: 'rbd', clusterId, pool: place.pool ?? pool, namespace, image });
}

/** What a PersistentVolume written by hand goes through. */
async function wholeLife(t: Test, spec: string, id: string): Promise<void> {
  await cluster.rbd(['create', spec, '--size', '64M', '--image-feature', 'layering,exclusive-lock']);
  const life = site.life(t);
  life.owns(id);
  t.ok((await life.rpc.validate(id, [mountCapability()])).confirmed);
  const paths = await life.attach(id);
  await writeFile(join(paths.targetPath, 'note'), 'adopted');
  const again = await life.publish(id, paths.stagingPath, { capability: mountCapability('SINGLE_NODE_MULTI_WRITER') });
  t.equal(await readFile(join(again, 'note'), 'utf8'), 'adopted');
  t.ok((await life.rpc.stats(id, paths.targetPath)).length === 2);
  await life.unpublish(id, again);
  await life.detach(id, paths);
  await life.delete(id);
  t.match(await refusal(life.rpc.stage(id, paths.stagingPath)), { code: 'NOT_FOUND' });
  t.notOk(await hasImage(cluster, spec), 'the image is gone');
}

t.test('an image made by hand is a volume as soon as its id is written down', async (t) => {
  await wholeLife(t, `${pool}/by-hand`, idOf('by-hand'));
});

t.test('so is one whose name needs encoding', async (t) => {
  const name = 'pvc 100%: große:daten';
  await wholeLife(t, `${pool}/${name}`, idOf(name));
});

t.test('so is one in a RADOS namespace', async (t) => {
  await cluster.rbd(['namespace', 'create', `${pool}/team-a`]);
  await wholeLife(t, `${pool}/team-a/by-hand`, idOf('by-hand', { namespace: 'team-a' }));
});

t.test('an image made by hand is not listed, because CreateVolume did not make it', async (t) => {
  await cluster.rbd(['create', `${pool}/not-listed`, '--size', '16M']);
  const life = site.life(t);
  life.owns(idOf('not-listed'));
  t.notOk((await life.rpc.list()).ids.includes(idOf('not-listed')));
});

t.test('an image that is not there is NOT_FOUND in a sentence with image, pool and cluster', async (t) => {
  const life = site.life(t);
  const plain = await refusal(life.stage(idOf('missing')));
  t.equal(plain.code, 'NOT_FOUND');
  for (const part of ['image "missing"', `pool "${pool}"`, 'cluster "default"', 'rbd create'])
    t.match(plain.message, part);
  const inNamespace = await refusal(life.stage(idOf('missing', { namespace: 'team-b' })));
  t.equal(inNamespace.code, 'NOT_FOUND');
  t.match(inNamespace.message, 'namespace "team-b"');
});

for (const [what, place, inMessage] of [
  ['pool', { pool: 'no-such-pool' }, 'no-such-pool'],
  ['cluster', { clusterId: 'no-such-cluster' }, 'no-such-cluster'],
] as const) {
  t.test(`an id of an unknown ${what} gets the answer that each RPC owes`, async (t) => {
    const life = site.life(t);
    const id = idOf('csi-vol-x', place);
    const staging = await refusal(life.stage(id));
    t.equal(staging.code, 'NOT_FOUND');
    t.match(staging.message, inMessage, 'NodeStageVolume names it');
    t.equal((await refusal(life.rpc.validate(id, [mountCapability()]))).code, 'NOT_FOUND');
    t.equal((await refusal(life.rpc.publish(id, site.path('stage'), site.path('target')))).code, 'FAILED_PRECONDITION');
    t.equal((await refusal(life.rpc.stats(id, site.path('target')))).code, 'NOT_FOUND');
    await life.rpc.unpublish(id, site.path('target'));
    await life.rpc.unstage(id, site.path('stage'));
    const deletion = await outcomeOf(life.rpc.delete(id));
    // A pool that is gone took its volumes along; of an unknown cluster nobody knows.
    t.equal(deletion.code, what === 'pool' ? 'OK' : 'FAILED_PRECONDITION');
    if (what === 'cluster') t.match(deletion.message, inMessage);
  });
}

t.test('CreateVolume and GetCapacity refuse a pool and a cluster that are not there, by name', async (t) => {
  const life = site.life(t);
  const noPool = { parameters: { pool: 'no-such-pool' } };
  const creation = await refusal(life.create(noPool));
  t.ok(['NOT_FOUND', 'INVALID_ARGUMENT'].includes(creation.code), creation.code);
  t.match(creation.message, 'no-such-pool');
  t.match(await refusal(life.rpc.capacity(noPool.parameters)), { code: 'INVALID_ARGUMENT', message: /no-such-pool/ });
  const noCluster = { parameters: { pool, clusterID: 'elsewhere' } };
  t.match(await refusal(life.create(noCluster)), { code: 'INVALID_ARGUMENT', message: /elsewhere.*"default"/ });
  const noDataPool = { parameters: { pool, dataPool: 'no-such-data-pool' } };
  t.match(await refusal(life.create(noDataPool)), { code: 'INVALID_ARGUMENT', message: /no-such-data-pool/ });
});

t.test('a static block volume gives its bytes as they are', async (t) => {
  const content = Buffer.alloc(1 << 20, 'what an older cluster has written ');
  const file = await site.life(t).file('import', content);
  await cluster.rbd(['import', file, `${pool}/imported`]);
  const life = site.life(t);
  const id = idOf('imported');
  life.owns(id);
  const { targetPath } = await life.attach(id, { capability: blockCapability() });
  t.same(await readFile(targetPath), content);
});

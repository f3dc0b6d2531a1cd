import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { eventually, hasImage, imageInfo, rados, trashOf } from './images.js';
import type { Volume } from './answers.js';
import { Site } from './site.js';

t.setTimeout(120_000);

const site = await Site.open(t);
const { cluster, pool } = site;
const create = { parameters: { pool }, requiredBytes: 16n << 20n };
// Another driver on the same cluster may hold the purge at that moment: then it is tried again some seconds later.
const secondsMs = 45_000;

function imageOf(volume: Volume): string {
  return volume.id.split(':').at(-1) ?? '';
}

/** Deleting any volume makes the purger look at the pool's trash. */
async function purge(t: Test): Promise<void> {
  const life = site.life(t);
  const volume = await life.create(create);
  const { id } = await imageInfo(cluster, `${pool}/${imageOf(volume)}`);
  await life.delete(volume.id);
  t.ok(await eventually(async () => !(await trashOf(cluster, pool)).includes(id), secondsMs), 'the purger was here');
}

t.test(
  'deleted volumes are out of sight at once and out of the trash within seconds, with all their objects',
  async (t) => {
    const life = site.life(t);
    const volumes = await Promise.all([life.create(create), life.create(create), life.create(create)]);
    const [first] = volumes;
    const paths = await life.attach(first.id);
    await writeFile(join(paths.targetPath, 'data'), Buffer.alloc(1 << 20, 'x'));
    await life.detach(first.id, paths);
    const ids = await Promise.all(
      volumes.map(async (volume) => (await imageInfo(cluster, `${pool}/${imageOf(volume)}`)).id),
    );
    await Promise.all(volumes.map(async (volume) => life.delete(volume.id)));
    for (const volume of volumes) t.notOk(await hasImage(cluster, `${pool}/${imageOf(volume)}`));
    t.ok(await eventually(async () => (await trashOf(cluster, pool)).length === 0, secondsMs));
    const objects = await rados(cluster, pool, ['ls']);
    for (const id of ids) t.notMatch(objects, id, 'no object is left');
  },
);

t.test('a volume and its last snapshot that are deleted at the same time leave nothing', async (t) => {
  const life = site.life(t);
  const names = Array.from({ length: 12 }, (_, i) => `raced-${i}`);
  const volumes = await Promise.all(names.map(async (name) => life.create({ ...create, name })));
  const snapshots = await Promise.all(volumes.map(async ({ id }) => life.snapshot(id)));
  await Promise.all([
    ...volumes.map(async ({ id }) => life.delete(id)),
    ...snapshots.map(async ({ id }) => life.rpc.deleteSnapshot(id)),
  ]);
  t.notMatch(await cluster.rbd(['ls', pool]), /cuttle\.deleted/);
  t.ok(await eventually(async () => (await trashOf(cluster, pool)).length === 0, secondsMs));
});

t.test('what somebody has put into the trash by hand is never purged, whoever made the image', async (t) => {
  const life = site.life(t);
  await cluster.rbd(['create', `${pool}/theirs`, '--size', '16M']);
  const ours = await life.create(create);
  const ids = await Promise.all(
    ['theirs', imageOf(ours)].map(async (image) => (await imageInfo(cluster, `${pool}/${image}`)).id),
  );
  await cluster.rbd(['trash', 'mv', `${pool}/theirs`]);
  await cluster.rbd(['trash', 'mv', `${pool}/${imageOf(ours)}`]);
  await life.rpc.delete(ours.id); // it is not there any more: OK, and still not to be purged
  await purge(t);
  await site.restart('SIGTERM');
  await purge(t);
  t.same(new Set(await trashOf(cluster, pool)), new Set(ids));
  await cluster.rbd(['trash', 'restore', '--pool', pool, ids[1] ?? '']);
  await life.stage(ours.id);
  for (const id of ids.slice(0, 1)) await cluster.rbd(['trash', 'rm', '--pool', pool, id]);
});

t.test('a driver that is killed before it has purged is succeeded by one that does', async (t) => {
  const life = site.life(t);
  const volumes = await Promise.all([life.create(create), life.create(create)]);
  const ids = await Promise.all(
    volumes.map(async (volume) => (await imageInfo(cluster, `${pool}/${imageOf(volume)}`)).id),
  );
  await Promise.all(volumes.map(async (volume) => life.delete(volume.id)));
  await site.restart('SIGKILL', async () => {
    const trash = await trashOf(cluster, pool);
    for (const id of ids) t.ok(trash.includes(id), 'it lies in the trash while no driver runs');
  });
  t.ok(await eventually(async () => (await trashOf(cluster, pool)).length === 0, secondsMs));
});

/** What is left of a CreateVolume that was cut off after so many of its steps (ADR 0011). */
const cutOff: Readonly<Record<string, (image: string, id: string) => string[][]>> = {
  'before the header': (_image, id) => [['rm', `rbd_header.${id}`]],
  'before the object map': (_image, id) => [
    ['rm', `rbd_header.${id}`],
    ['rm', `rbd_object_map.${id}`],
  ],
  'before the entry in the directory': (image, id) => [
    ['rm', `rbd_header.${id}`],
    ['rmomapkey', 'rbd_directory', `name_${image}`],
    ['rmomapkey', 'rbd_directory', `id_${id}`],
  ],
};

for (const [when, steps] of Object.entries(cutOff)) {
  t.test(`a CreateVolume that was cut off ${when} is healed by its repetition`, async (t) => {
    const life = site.life(t);
    const name = `cut-off ${when}`;
    const volume = await life.create({ ...create, name });
    const { id } = await imageInfo(cluster, `${pool}/${imageOf(volume)}`);
    for (const args of steps(imageOf(volume), id)) await rados(cluster, pool, args);
    t.same(await life.create({ ...create, name }), volume);
    await life.stage(volume.id);
    t.ok((await life.rpc.list()).ids.includes(volume.id));
  });

  t.test(`a CreateVolume that was cut off ${when} is taken away by DeleteVolume`, async (t) => {
    const life = site.life(t);
    const volume = await life.create(create);
    const { id } = await imageInfo(cluster, `${pool}/${imageOf(volume)}`);
    for (const args of steps(imageOf(volume), id)) await rados(cluster, pool, args);
    await life.delete(volume.id);
    await life.rpc.delete(volume.id);
    const objects = await rados(cluster, pool, ['ls']);
    t.notMatch(objects, imageOf(volume), 'its name is free');
    t.notMatch(objects, id, 'and so is every object of it');
    t.notMatch(await rados(cluster, pool, ['listomapkeys', 'rbd_directory']), imageOf(volume));
  });
}

/**
 * The state in which a cut-off move leaves an image: in the trash as MOVING, its name freed or not (librbd, api/Trash.cc).
 * The state is the last byte of the trash's entry (cls_rbd_types.h, TrashImageSpec).
 */
async function interruptMove(t: Test, volume: Volume, steps: 'marked' | 'name there' | 'name gone'): Promise<void> {
  const image = imageOf(volume);
  const { id } = await imageInfo(cluster, `${pool}/${image}`);
  await cluster.rbd(['image-meta', 'set', `${pool}/${image}`, '.cuttle.deleted', 'by the one that was cut off']);
  if (steps === 'marked') return;
  const file = await site.life(t).file('saved', '');
  await rados(cluster, pool, ['get', `rbd_id.${image}`, file]);
  await cluster.rbd(['trash', 'mv', `${pool}/${image}`]);
  const entry = await site.life(t).file('entry', '');
  await rados(cluster, pool, ['getomapval', 'rbd_trash', `id_${id}`, entry]);
  const bytes = await readFile(entry);
  bytes.writeUInt8(1, bytes.length - 1);
  await writeFile(entry, bytes);
  await rados(cluster, pool, ['setomapval', 'rbd_trash', `id_${id}`, '--input-file', entry]);
  if (steps === 'name there') await rados(cluster, pool, ['put', `rbd_id.${image}`, file]);
}

for (const steps of ['marked', 'name there', 'name gone'] as const) {
  t.test(`a DeleteVolume that was cut off (${steps}) is ended by its repetition`, async (t) => {
    const life = site.life(t);
    const volume = await life.create(create);
    const { id } = await imageInfo(cluster, `${pool}/${imageOf(volume)}`);
    await interruptMove(t, volume, steps);
    await life.delete(volume.id);
    const isGone = async (): Promise<boolean> => !(await trashOf(cluster, pool)).includes(id);
    t.ok(await eventually(isGone, secondsMs), 'its space is freed');
    const objects = await rados(cluster, pool, ['ls']);
    t.notMatch(objects, id);
    t.notMatch(objects, imageOf(volume));
  });
}

t.test('CreateVolume after a DeleteVolume that only set its mark gives a volume that is never purged', async (t) => {
  const life = site.life(t);
  const name = 'deleted by half';
  const volume = await life.create({ ...create, name });
  await interruptMove(t, volume, 'marked');
  t.equal((await life.create({ ...create, name })).id, volume.id);
  const { id } = await imageInfo(cluster, `${pool}/${imageOf(volume)}`);
  await cluster.rbd(['trash', 'mv', `${pool}/${imageOf(volume)}`]);
  await purge(t);
  t.ok((await trashOf(cluster, pool)).includes(id), 'somebody else has put it into the trash');
  await cluster.rbd(['trash', 'restore', '--pool', pool, id]);
});

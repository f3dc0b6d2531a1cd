import { rm } from 'node:fs/promises';
import t from 'tap';
import { asDirectory, asShared, openGroup, pathOf, patiently } from './group.js';
import { eventually } from './images.js';
import { refusal } from './outcome.js';

t.setTimeout(120_000);

const { site, group } = await openGroup(t, { args: ['--backends', 'cephfs'] });
const { directories } = group;
const top = `/adopted-${site.pool}`;
t.teardown(async () => rm(group.onHost(top), { ...patiently, recursive: true, force: true }));

for (const [where, quota] of [
  ['anywhere', undefined],
  ["behind a quota's border", String(1 << 30)],
] as const) {
  t.test(`an adopted directory ${where} has snapshots, which outlive it`, async (t) => {
    const life = site.life(t);
    const path = `${top}/${quota === undefined ? 'plain' : 'quota'}/volume`;
    const id = await directories.make(path);
    if (quota !== undefined) group.setAttribute(path.replace('/volume', ''), 'ceph.quota.max_bytes', quota);
    await directories.write(`${path}/data`, 'then');
    const first = await life.snapshot(id);
    const second = await life.snapshot(id);
    t.equal(first.source, id);
    t.same((await life.rpc.listSnapshots({ source: id })).ids, [first.id, second.id].sort());
    t.ok((await life.rpc.listSnapshots()).ids.includes(first.id));
    await directories.write(`${path}/data`, 'now');
    await life.rpc.deleteSnapshot(second.id);
    t.same((await life.rpc.listSnapshots({ source: id })).ids, [first.id]);

    await life.rpc.delete(id);
    t.notOk(await group.has(path), 'the directory is out of sight');
    t.equal((await refusal(life.stage(id, asShared))).code, 'NOT_FOUND');
    t.equal((await life.rpc.getSnapshot(first.id)).createdMs, first.createdMs);
    const restored = await life.create({ ...asDirectory, source: { snapshot: first.id } });
    t.equal(await directories.read(`${pathOf(restored.id)}/data`), 'then');
    await life.rpc.deleteSnapshot(first.id);
    t.equal((await refusal(life.rpc.getSnapshot(first.id))).code, 'NOT_FOUND');
    await life.delete(restored.id);
    const homes = [group.path, path.replace('/volume', '')];
    const places = homes.flatMap((home) => [`${home}/.cuttle/deleted`, `${home}/.cuttle/trash`]);
    for (const place of places)
      t.ok(await eventually(async () => (await group.list(place)).length === 0, 30_000), place);
  });
}

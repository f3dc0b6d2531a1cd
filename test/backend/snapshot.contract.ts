import { randomUUID } from 'node:crypto';
import { refusal } from '../integration/outcome.js';
import type { Checks } from './contract-bench.js';

export const snapshotChecks: Checks = {
  'a repeated CreateSnapshot gives the same snapshot': async (t, bench) => {
    const volume = await bench.create();
    const name = `snapshot-${randomUUID()}`;
    const first = await bench.life.snapshot(volume.id, name);
    t.equal(first.source, volume.id);
    t.equal(first.bytes, volume.bytes);
    t.ok(first.ready);
    t.ok(Math.abs(Date.now() - first.createdMs) < 60_000, 'it was taken now');
    t.same(await bench.life.snapshot(volume.id, name), first);
    t.same(await bench.rpc.getSnapshot(first.id), first);
    t.ok(Buffer.byteLength(first.id) <= 128);
  },

  'a name that stands for a snapshot of another volume is ALREADY_EXISTS': async (t, bench) => {
    const [one, two] = await Promise.all([bench.create(), bench.create()]);
    const name = `snapshot-${randomUUID()}`;
    await bench.life.snapshot(one.id, name);
    const { code } = await refusal(bench.rpc.snapshot(name, two.id));
    t.equal(code, 'ALREADY_EXISTS');
  },

  'a snapshot of what is not there is NOT_FOUND': async (t, bench) => {
    const { id } = await bench.create();
    for (const garbage of [`${id}x`, 'fake-vol-id'])
      t.equal((await refusal(bench.rpc.snapshot('any', garbage))).code, 'NOT_FOUND', garbage);
  },

  'DeleteSnapshot again, and of ids that name nothing, is OK': async (t, bench) => {
    const volume = await bench.create();
    const { id } = await bench.life.snapshot(volume.id);
    await bench.rpc.deleteSnapshot(id);
    await bench.rpc.deleteSnapshot(id);
    for (const garbage of ['fake-snapshot-id', `${id}x`, volume.id, '@', 'x'.repeat(128)])
      await bench.rpc.deleteSnapshot(garbage);
    t.equal((await refusal(bench.rpc.getSnapshot(id))).code, 'NOT_FOUND');
  },

  'ListSnapshots finds by id, by volume, and page by page': async (t, bench) => {
    const [one, two] = await Promise.all([bench.create(), bench.create()]);
    const before = (await bench.rpc.listSnapshots()).ids;
    const taken = [
      await bench.life.snapshot(one.id),
      await bench.life.snapshot(one.id),
      await bench.life.snapshot(two.id),
    ].map(({ id }) => id);
    const [first = '', second = '', third = ''] = taken;
    t.same(new Set((await bench.rpc.listSnapshots()).ids), new Set([...before, ...taken]));
    t.same((await bench.rpc.listSnapshots({ snapshot: second })).ids, [second]);
    t.same(new Set((await bench.rpc.listSnapshots({ source: one.id })).ids), new Set([first, second]));
    t.same((await bench.rpc.listSnapshots({ source: two.id, snapshot: first })).ids, []);
    t.same((await bench.rpc.listSnapshots({ snapshot: 'garbage' })).ids, []);
    t.same((await bench.rpc.listSnapshots({ source: 'garbage' })).ids, []);
    for (const source of [undefined, one.id]) {
      const paged: string[] = [];
      for (let token = ''; ;) {
        const page = await bench.rpc.listSnapshots({ max: 1, token, ...(source === undefined ? {} : { source }) });
        t.ok(page.ids.length <= 1);
        paged.push(...page.ids);
        if (page.next === '') break;
        token = page.next;
      }
      t.same(paged, (await bench.rpc.listSnapshots(source === undefined ? {} : { source })).ids);
    }
    t.equal((await refusal(bench.rpc.listSnapshots({ max: 1, token: 'garbage' }))).code, 'ABORTED');
    await bench.rpc.deleteSnapshot(third);
    t.notOk((await bench.rpc.listSnapshots()).ids.includes(third));
  },

  'a snapshot outlives its volume, whose name can be used anew': async (t, bench) => {
    const name = `pvc-${randomUUID()}`;
    const volume = await bench.create(name);
    const paths = await bench.life.attach(volume.id, bench.use(volume));
    await bench.write(paths.targetPath, 'kept by the snapshot');
    await bench.life.detach(volume.id, paths);
    const snapshot = await bench.life.snapshot(volume.id);
    await bench.life.delete(volume.id);
    t.notOk((await bench.rpc.list()).ids.includes(volume.id), 'the volume is gone');
    t.same(await bench.rpc.getSnapshot(snapshot.id), snapshot);
    t.same((await bench.rpc.listSnapshots({ source: volume.id })).ids, [snapshot.id]);
    const again = await bench.create(name);
    t.equal(again.id, volume.id);
    const restored = await bench.life.create({ ...bench.createOptions, source: { snapshot: snapshot.id } });
    const { targetPath } = await bench.life.attach(restored.id, bench.use(restored));
    t.equal(await bench.read(targetPath), 'kept by the snapshot');
  },
};

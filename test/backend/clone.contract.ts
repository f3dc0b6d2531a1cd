import { randomUUID } from 'node:crypto';
import type { Volume } from '../integration/answers.js';
import { refusal } from '../integration/outcome.js';
import type { Bench, Checks } from './contract-bench.js';

/** A volume that an application has written this into. */
async function filled(bench: Bench, text: string): Promise<Volume> {
  const volume = await bench.create();
  await rewrite(bench, volume, text);
  return volume;
}

async function rewrite(bench: Bench, volume: Volume, text: string): Promise<void> {
  const paths = await bench.life.attach(volume.id, bench.use(volume));
  await bench.write(paths.targetPath, text);
  await bench.life.detach(volume.id, paths);
}

async function contentOf(bench: Bench, volume: Volume): Promise<string> {
  const paths = await bench.life.attach(volume.id, bench.use(volume));
  const text = await bench.read(paths.targetPath);
  await bench.life.detach(volume.id, paths);
  return text;
}

export const cloneChecks: Checks = {
  'a volume made of a snapshot has what was there when it was taken': async (t, bench) => {
    const source = await filled(bench, 'before');
    const snapshot = await bench.life.snapshot(source.id);
    await rewrite(bench, source, 'after');
    const options = { ...bench.createOptions, source: { snapshot: snapshot.id } };
    const name = `pvc-${randomUUID()}`;
    const restored = await bench.life.create({ ...options, name });
    t.same(await bench.life.create({ ...options, name }), restored, 'the repeated request gives the same volume');
    t.equal(restored.bytes, source.bytes);
    t.equal(await contentOf(bench, restored), 'before');
    t.equal(await contentOf(bench, source), 'after');
    await rewrite(bench, restored, 'on its own');
    t.equal(await contentOf(bench, source), 'after', 'neither changes the other');
  },

  'a volume made of a volume has what is there now': async (t, bench) => {
    const source = await filled(bench, 'content');
    const options = { ...bench.createOptions, source: { volume: source.id } };
    const name = `pvc-${randomUUID()}`;
    const copy = await bench.life.create({ ...options, name });
    t.same(await bench.life.create({ ...options, name }), copy);
    t.equal(await contentOf(bench, copy), 'content');
    t.same((await bench.rpc.listSnapshots({ source: source.id })).ids, [], 'no snapshot of it is left');
    await bench.life.delete(source.id);
    t.equal(await contentOf(bench, copy), 'content', 'it needs its source no more');
  },

  'a volume may be larger than what it is made of, and is seen whole': async (t, bench) => {
    const source = await filled(bench, 'grows');
    const snapshot = await bench.life.snapshot(source.id);
    const restored = await bench.life.create({
      ...bench.createOptions,
      requiredBytes: source.bytes * 2n,
      source: { snapshot: snapshot.id },
    });
    t.equal(restored.bytes, source.bytes * 2n);
    const { targetPath } = await bench.life.attach(restored.id, bench.use(restored));
    t.equal(await bench.read(targetPath), 'grows');
    const [bytes] = await bench.rpc.stats(restored.id, targetPath);
    t.ok((bytes?.total ?? 0n) > (source.bytes * 17n) / 10n);
  },

  'a volume is never smaller than what it is made of': async (t, bench) => {
    const source = await bench.create();
    const snapshot = await bench.life.snapshot(source.id);
    const small = { ...bench.createOptions, requiredBytes: source.bytes / 2n, limitBytes: source.bytes / 2n };
    const { code } = await refusal(bench.life.create({ ...small, source: { snapshot: snapshot.id } }));
    t.equal(code, 'OUT_OF_RANGE');
  },

  'the same name made of something else is ALREADY_EXISTS': async (t, bench) => {
    const source = await bench.create();
    const [one, two] = [await bench.life.snapshot(source.id), await bench.life.snapshot(source.id)];
    const name = `pvc-${randomUUID()}`;
    await bench.life.create({ ...bench.createOptions, name, source: { snapshot: one.id } });
    for (const other of [{ source: { snapshot: two.id } }, { source: { volume: source.id } }, {}]) {
      const { code, message } = await refusal(bench.rpc.create(name, { ...bench.createOptions, ...other }));
      t.equal(code, 'ALREADY_EXISTS', JSON.stringify(other));
      t.match(message, /volume_content_source/);
    }
  },

  'a source that is not there is NOT_FOUND': async (t, bench) => {
    const { id } = await bench.create();
    const snapshot = await bench.life.snapshot(id);
    for (const source of [
      { snapshot: `${snapshot.id}x` },
      { snapshot: 'fake-snapshot-id' },
      { volume: `${id}x` },
      { volume: 'fake-vol-id' },
    ]) {
      const { code } = await refusal(bench.rpc.create(`pvc-${randomUUID()}`, { ...bench.createOptions, source }));
      t.equal(code, 'NOT_FOUND', JSON.stringify(source));
    }
  },

  'volumes, snapshots and volumes made of them go in any order': async (t, bench) => {
    for (const order of ['source first', 'snapshot first', 'copy first'] as const) {
      const source = await filled(bench, order);
      const snapshot = await bench.life.snapshot(source.id);
      const copy = await bench.life.create({ ...bench.createOptions, source: { snapshot: snapshot.id } });
      const steps = {
        source: async () => bench.life.delete(source.id),
        snapshot: async () => bench.rpc.deleteSnapshot(snapshot.id),
        copy: async () => {
          t.equal(await contentOf(bench, copy), order);
          await bench.life.delete(copy.id);
        },
      };
      const first = order.split(' ')[0] as keyof typeof steps;
      for (const step of [first, ...Object.keys(steps).filter((one) => one !== first)])
        await steps[step as keyof typeof steps]();
      const { ids } = await bench.rpc.list();
      t.notOk(ids.includes(source.id) || ids.includes(copy.id));
      t.notOk((await bench.rpc.listSnapshots()).ids.includes(snapshot.id));
    }
  },
};

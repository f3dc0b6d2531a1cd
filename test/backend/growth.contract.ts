import { refusal } from '../integration/outcome.js';
import type { Bench, Checks } from './contract-bench.js';

/** What an application sees as the volume's size, in bytes: the device's, or the file system's. */
async function shown(bench: Bench, id: string, path: string): Promise<bigint> {
  const usage = await bench.rpc.stats(id, path);
  return usage.find((one) => one.unit === 'BYTES')?.total ?? 0n;
}

export const growthChecks: Checks = {
  'ControllerExpandVolume gives the size that was asked for, once and again': async (t, bench) => {
    const { id, bytes } = await bench.create();
    t.equal((await bench.rpc.expand(id, bytes * 2n)).bytes, bytes * 2n);
    t.equal((await bench.rpc.expand(id, bytes * 2n)).bytes, bytes * 2n);
    t.equal((await bench.rpc.expand(id, bytes)).bytes, bytes * 2n, 'a smaller size is there already');
    t.equal((await bench.rpc.expand(id, bytes * 3n, bytes * 3n)).bytes, bytes * 3n);
  },

  'a volume never shrinks': async (t, bench) => {
    const { id, bytes } = await bench.create();
    const { code, message } = await refusal(bench.rpc.expand(id, 1n, bytes / 2n));
    t.equal(code, 'OUT_OF_RANGE');
    t.match(message, /shrink/);
    t.equal((await bench.rpc.expand(id, bytes)).bytes, bytes);
  },

  'ControllerExpandVolume of what is not there is NOT_FOUND, and without a size INVALID_ARGUMENT': async (t, bench) => {
    const { id } = await bench.create();
    for (const garbage of [`${id}x`, 'fake-vol-id'])
      t.equal((await refusal(bench.rpc.expand(garbage, 1n << 30n))).code, 'NOT_FOUND', garbage);
    t.equal((await refusal(bench.rpc.expand(id, 0n))).code, 'INVALID_ARGUMENT');
    t.equal((await refusal(bench.rpc.expand(id, -1n))).code, 'INVALID_ARGUMENT');
  },

  'a published volume grows under its application': async (t, bench) => {
    const volume = await bench.create();
    const { targetPath } = await bench.life.attach(volume.id, bench.use(volume));
    await bench.write(targetPath, 'before');
    const before = await shown(bench, volume.id, targetPath);
    const wanted = volume.bytes * 2n;
    const { needsNode } = await bench.rpc.expand(volume.id, wanted);
    if (needsNode) {
      await bench.rpc.expandNode(volume.id, targetPath, wanted);
      await bench.rpc.expandNode(volume.id, targetPath, wanted);
    }
    const after = await shown(bench, volume.id, targetPath);
    t.ok(after > (before * 17n) / 10n, `${before} bytes have become ${after}`);
    t.ok(after <= wanted);
    t.equal(await bench.read(targetPath), 'before');
    await bench.write(targetPath, 'after');
    t.equal(await bench.read(targetPath), 'after');
  },

  'a volume that has grown while it was nowhere is seen whole when it is staged': async (t, bench) => {
    const volume = await bench.create();
    const first = await bench.life.attach(volume.id, bench.use(volume));
    await bench.write(first.targetPath, 'before');
    const before = await shown(bench, volume.id, first.targetPath);
    await bench.life.detach(volume.id, first);
    await bench.rpc.expand(volume.id, volume.bytes * 2n);
    const { targetPath } = await bench.life.attach(volume.id, bench.use(volume));
    t.ok((await shown(bench, volume.id, targetPath)) > (before * 17n) / 10n);
    t.equal(await bench.read(targetPath), 'before');
  },

  'NodeExpandVolume where the volume is not is NOT_FOUND': async (t, bench) => {
    const volume = await bench.create();
    for (const path of [bench.site.path('nowhere'), 'some/path'])
      t.equal((await refusal(bench.rpc.expandNode(volume.id, path))).code, 'NOT_FOUND', path);
    t.equal((await refusal(bench.rpc.expandNode('fake-vol-id', bench.site.path('nowhere')))).code, 'NOT_FOUND');
  },
};

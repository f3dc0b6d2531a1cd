import { stat } from 'node:fs/promises';
import { mountEntry } from '../integration/leftovers.js';
import { refusal } from '../integration/outcome.js';
import { type Checks } from './contract-bench.js';

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

export const nodeChecks: Checks = {
  'stage, publish, unpublish and unstage, each of them twice': async (t, bench) => {
    const volume = await bench.create();
    const use = bench.use(volume);
    const staging = await bench.life.stage(volume.id, use);
    await bench.rpc.stage(volume.id, staging, use);
    const target = await bench.life.publish(volume.id, staging, use);
    await bench.rpc.publish(volume.id, staging, target, use);
    await bench.write(target, 'twice');
    t.equal(await bench.read(target), 'twice');
    await bench.life.unpublish(volume.id, target);
    await bench.rpc.unpublish(volume.id, target);
    t.notOk(await isThere(target), 'the target is removed');
    await bench.life.unstage(volume.id, staging);
    await bench.rpc.unstage(volume.id, staging);
    t.equal(await mountEntry(staging), undefined);
  },

  'what was written is there after unstage and stage at another path': async (t, bench) => {
    const volume = await bench.create();
    const use = bench.use(volume);
    const before = await bench.life.attach(volume.id, use);
    await bench.write(before.targetPath, `survives ${volume.id}`);
    await bench.life.detach(volume.id, before);
    const after = await bench.life.attach(volume.id, {
      capability: bench.backend.capabilities.of('SINGLE_NODE_WRITER'),
    });
    t.equal(await bench.read(after.targetPath), `survives ${volume.id}`, 'also without its volume context');
  },

  'an unstage of a path where the volume is not staged is OK and leaves it where it is': async (t, bench) => {
    const volume = await bench.create();
    const { targetPath } = await bench.life.attach(volume.id, bench.use(volume));
    await bench.write(targetPath, 'still there');
    await bench.rpc.unstage(volume.id, `${targetPath}-elsewhere`);
    t.equal(await bench.read(targetPath), 'still there');
    await bench.write(targetPath, 'and writable');
  },

  'an unstage of a volume that is still published is refused and changes nothing': async (t, bench) => {
    const volume = await bench.create();
    const { stagingPath, targetPath } = await bench.life.attach(volume.id, bench.use(volume));
    const { code, message } = await refusal(bench.rpc.unstage(volume.id, stagingPath));
    t.equal(code, 'FAILED_PRECONDITION');
    t.ok(message.includes(targetPath), message);
    await bench.write(targetPath, 'goes on');
    t.equal(await bench.read(targetPath), 'goes on');
  },

  'a read-only publish of a mounted volume refuses writes with EROFS, and a writable one beside it does not': async (
    t,
    bench,
  ) => {
    const volume = await bench.create();
    const use = bench.use(volume, 'SINGLE_NODE_MULTI_WRITER');
    const { stagingPath, targetPath } = await bench.life.attach(volume.id, use);
    await bench.write(targetPath, 'first');
    const readOnly = await bench.life.publish(volume.id, stagingPath, { ...use, readOnly: true });
    t.equal(await bench.writeRefusal(readOnly), 'EROFS');
    t.equal(await bench.read(readOnly), 'first');
    await bench.write(targetPath, 'second');
    t.equal(await bench.read(readOnly), 'second');
  },

  'a block volume that is staged for writing is not published read-only': async (t, bench) => {
    const volume = await bench.create();
    const use = bench.use(volume);
    const staging = await bench.life.stage(volume.id, use);
    const { code } = await refusal(bench.life.publish(volume.id, staging, { ...use, readOnly: true }));
    t.equal(code, 'FAILED_PRECONDITION');
  },

  'a volume that is staged by a reader mode is read and not written': async (t, bench) => {
    const volume = await bench.create();
    const writing = await bench.life.attach(volume.id, bench.use(volume));
    await bench.write(writing.targetPath, 'for readers');
    await bench.life.detach(volume.id, writing);
    const use = bench.use(volume, 'MULTI_NODE_READER_ONLY');
    const { stagingPath, targetPath } = await bench.life.attach(volume.id, use);
    t.equal(await bench.read(targetPath), 'for readers');
    t.ok(['EROFS', 'EPERM', 'EACCES'].includes((await bench.writeRefusal(targetPath)) ?? 'none'));
    const { code } = await refusal(
      bench.rpc.publish(volume.id, stagingPath, bench.site.path('target'), bench.use(volume)),
    );
    t.equal(code, 'FAILED_PRECONDITION', 'nor published for a writer');
  },

  'a second target is refused for one writer and given to several': async (t, bench) => {
    const volume = await bench.create();
    for (const mode of ['SINGLE_NODE_SINGLE_WRITER', 'SINGLE_NODE_WRITER'] as const) {
      const use = bench.use(volume, mode);
      const paths = await bench.life.attach(volume.id, use);
      const second = bench.site.path('target');
      const { code, message } = await refusal(bench.rpc.publish(volume.id, paths.stagingPath, second, use));
      t.equal(code, 'FAILED_PRECONDITION', mode);
      t.match(message, paths.targetPath, 'the message names the first target');
      await bench.life.detach(volume.id, paths);
    }
    const use = bench.use(volume, 'SINGLE_NODE_MULTI_WRITER');
    const { stagingPath, targetPath } = await bench.life.attach(volume.id, use);
    const second = await bench.life.publish(volume.id, stagingPath, use);
    await bench.write(targetPath, 'shared');
    t.equal(await bench.read(second), 'shared');
  },

  'the same target with other arguments is ALREADY_EXISTS': async (t, bench) => {
    const one = await bench.create();
    const two = await bench.create();
    const paths = await bench.life.attach(one.id, bench.use(one));
    const staging = await bench.life.stage(two.id, bench.use(two));
    const { code } = await refusal(bench.rpc.publish(two.id, staging, paths.targetPath, bench.use(two)));
    t.equal(code, 'ALREADY_EXISTS', 'another volume');
  },

  'the same target of a mounted volume, read-only this time, is ALREADY_EXISTS': async (t, bench) => {
    const volume = await bench.create();
    const use = bench.use(volume);
    const { stagingPath, targetPath } = await bench.life.attach(volume.id, use);
    const again = bench.rpc.publish(volume.id, stagingPath, targetPath, { ...use, readOnly: true });
    t.equal((await refusal(again)).code, 'ALREADY_EXISTS');
    await bench.write(targetPath, 'still writable');
  },

  'publish without or with another staging path is FAILED_PRECONDITION': async (t, bench) => {
    const volume = await bench.create();
    const use = bench.use(volume);
    await bench.life.stage(volume.id, use);
    for (const staging of ['', bench.site.path('stage')]) {
      const { code } = await refusal(bench.rpc.publish(volume.id, staging, bench.site.path('target'), use));
      t.equal(code, 'FAILED_PRECONDITION', staging);
    }
  },

  'stats tell bytes and inodes of a file system, the size of a device, and NOT_FOUND elsewhere': async (t, bench) => {
    const volume = await bench.create();
    const { stagingPath, targetPath } = await bench.life.attach(volume.id, bench.use(volume));
    const [bytes, inodes] = await bench.rpc.stats(volume.id, targetPath);
    t.equal(bytes?.unit, 'BYTES');
    if (bench.backend.capabilities.access === 'block') t.equal(bytes?.total, bench.backend.sizeBytes);
    else {
      t.ok((bytes?.total ?? 0n) > bench.backend.sizeBytes / 2n);
      t.ok((bytes?.total ?? 0n) <= bench.backend.sizeBytes);
      t.ok((bytes?.used ?? 0n) + (bytes?.available ?? 0n) <= (bytes?.total ?? 0n));
      t.equal(inodes?.unit, 'INODES');
      t.ok((inodes?.used ?? 0n) > 0n);
      t.ok((await bench.rpc.stats(volume.id, stagingPath)).length > 0, 'at the staging path too');
    }
    for (const path of ['some/path', bench.site.directory, `${targetPath}x`]) {
      t.equal((await refusal(bench.rpc.stats(volume.id, path))).code, 'NOT_FOUND', path);
    }
    t.equal((await refusal(bench.rpc.stats('fake-vol-id', targetPath))).code, 'NOT_FOUND');
  },

  'a volume that is staged is not deleted, and goes on working': async (t, bench) => {
    const volume = await bench.create();
    const paths = await bench.life.attach(volume.id, bench.use(volume));
    await bench.write(paths.targetPath, 'before');
    const { code, message } = await refusal(bench.rpc.delete(volume.id));
    t.equal(code, 'FAILED_PRECONDITION');
    t.match(message, /in use/);
    t.equal(await bench.read(paths.targetPath), 'before');
    await bench.write(paths.targetPath, 'after');
    await bench.life.detach(volume.id, paths);
    await bench.life.delete(volume.id);
  },

  'unstage is refused while a target is still published, and works afterwards': async (t, bench) => {
    const volume = await bench.create();
    const paths = await bench.life.attach(volume.id, bench.use(volume));
    await bench.write(paths.targetPath, 'still in use');
    const { code } = await refusal(bench.rpc.unstage(volume.id, paths.stagingPath));
    t.equal(code, 'FAILED_PRECONDITION');
    t.equal(await bench.read(paths.targetPath), 'still in use');
    await bench.life.detach(volume.id, paths);
  },

  'node RPCs for ids that name nothing: OK where something is taken away, NOT_FOUND elsewhere': async (t, bench) => {
    const capability = bench.backend.capabilities.of('SINGLE_NODE_WRITER');
    for (const id of ['fake-vol-id', 'rbd:..:..:..:..']) {
      await bench.rpc.unpublish(id, bench.site.path('target'));
      await bench.rpc.unstage(id, bench.site.path('stage'));
      t.equal((await refusal(bench.rpc.stage(id, bench.site.path('stage'), { capability }))).code, 'NOT_FOUND');
      const publish = bench.rpc.publish(id, bench.site.path('stage'), bench.site.path('target'), { capability });
      t.equal((await refusal(publish)).code, 'NOT_FOUND');
    }
  },
};

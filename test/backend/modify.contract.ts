import { randomUUID } from 'node:crypto';
import { refusal } from '../integration/outcome.js';
import type { Checks } from './contract-bench.js';

export const modifyChecks: Checks = {
  'a new volume has its mutable parameters from the start': async (t, bench) => {
    const { first } = bench.backend.mutable;
    const volume = await bench.life.create({ ...bench.createOptions, mutable: first });
    t.match(await bench.backend.mutable.read(volume.id), first);
    const plain = await bench.create();
    const unset = await bench.backend.mutable.read(plain.id);
    for (const name of Object.keys(first)) t.equal(unset[name], undefined, `${name} is not set`);
  },

  'a repeated CreateVolume with other mutable parameters is ALREADY_EXISTS, and changes nothing': async (t, bench) => {
    const { first, second } = bench.backend.mutable;
    const name = `pvc-${randomUUID()}`;
    const options = { ...bench.createOptions, mutable: first };
    const volume = await bench.life.create({ ...options, name });
    t.same(await bench.rpc.create(name, options), volume, 'the same ones give the same volume');
    for (const mutable of [second, {}]) {
      const { code, message } = await refusal(bench.rpc.create(name, { ...options, mutable }));
      t.equal(code, 'ALREADY_EXISTS', JSON.stringify(mutable));
      t.match(message, /mutable parameter \w+ was/);
    }
    t.match(await bench.backend.mutable.read(volume.id), first);
  },

  'ControllerModifyVolume changes what it names, once and again, and leaves the rest': async (t, bench) => {
    const { first, second, read } = bench.backend.mutable;
    const { id } = await bench.life.create({ ...bench.createOptions, mutable: first });
    for (const _round of [1, 2]) {
      await bench.rpc.modify(id, second);
      t.match(await read(id), { ...first, ...second });
    }
    await bench.rpc.modify(id, {});
    t.match(await read(id), { ...first, ...second }, 'no parameters change nothing');
    await bench.rpc.modify(id, first);
    t.match(await read(id), first);
  },

  'a CreateVolume that is repeated after a change gives the volume and does not undo the change': async (t, bench) => {
    const { first, second, read } = bench.backend.mutable;
    const name = `pvc-${randomUUID()}`;
    const options = { ...bench.createOptions, mutable: first };
    const { id } = await bench.life.create({ ...options, name });
    await bench.rpc.modify(id, second);
    t.equal((await bench.rpc.create(name, options)).id, id);
    t.match(await read(id), { ...first, ...second });
  },

  'what can not be is INVALID_ARGUMENT by name, and nothing of the request is applied': async (t, bench) => {
    const { first, second, read, impossible } = bench.backend.mutable;
    const { id } = await bench.life.create({ ...bench.createOptions, mutable: first });
    const before = await read(id);
    const listed = (await bench.rpc.list()).ids;
    for (const [wrong, words] of impossible) {
      const mutable = { ...second, ...wrong };
      for (const request of [
        async () => bench.rpc.modify(id, mutable),
        async () => bench.rpc.create(`pvc-${randomUUID()}`, { ...bench.createOptions, mutable }),
      ]) {
        const { code, message } = await refusal(request());
        t.equal(code, 'INVALID_ARGUMENT', JSON.stringify(wrong));
        t.match(message, words);
      }
    }
    t.same(await read(id), before);
    t.same((await bench.rpc.list()).ids, listed, 'and no volume is made');
  },

  'ControllerModifyVolume of what is not there is NOT_FOUND': async (t, bench) => {
    const { id } = await bench.create();
    for (const garbage of [`${id}x`, 'fake-vol-id']) {
      for (const mutable of [bench.backend.mutable.first, {}])
        t.equal((await refusal(bench.rpc.modify(garbage, mutable))).code, 'NOT_FOUND', garbage);
    }
    t.equal((await refusal(bench.rpc.modify('', {}))).code, 'INVALID_ARGUMENT');
  },

  'a volume that is published may be modified, and goes on working': async (t, bench) => {
    const volume = await bench.create();
    const { targetPath } = await bench.life.attach(volume.id, bench.use(volume));
    await bench.write(targetPath, 'before');
    await bench.rpc.modify(volume.id, bench.backend.mutable.first);
    t.match(await bench.backend.mutable.read(volume.id), bench.backend.mutable.first);
    t.equal(await bench.read(targetPath), 'before');
    await bench.write(targetPath, 'after');
    t.equal(await bench.read(targetPath), 'after');
  },

  'a volume made of another one has its own mutable parameters, not those of its source': async (t, bench) => {
    const { first, second, read } = bench.backend.mutable;
    const source = await bench.life.create({ ...bench.createOptions, mutable: first });
    const snapshot = await bench.life.snapshot(source.id);
    const restore = { ...bench.createOptions, source: { snapshot: snapshot.id } };
    const [plain, own] = await Promise.all([
      bench.life.create(restore),
      bench.life.create({ ...restore, mutable: second }),
    ]);
    const inherited = await read(plain.id);
    for (const name of Object.keys(first)) t.equal(inherited[name], undefined, `${name} is not inherited`);
    const asked = await read(own.id);
    t.match(asked, second);
    for (const name of Object.keys(first)) if (!(name in second)) t.equal(asked[name], undefined, name);
    t.match(await read(source.id), first, 'the source keeps its own');
  },
};

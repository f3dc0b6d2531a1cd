import { randomUUID } from 'node:crypto';
import { parseVolumeId } from '../../src/domain/volume-id.js';
import { converge } from '../ground/converge.js';
import { refusal } from '../integration/outcome.js';
import type { Bench, Checks } from './contract-bench.js';

/** Of every plane of Unicode, of both directions, with what shells, paths and URLs give a meaning: 128 characters. */
function oddName(): string {
  const odd = `../$(x)%2F"'\\;|&\t é\u0301 ‏שלום‎ 語 😀 ${randomUUID()}`;
  const characters = Array.from(odd);
  return odd + '𝄞'.repeat(128 - characters.length);
}

/** Pages of one, all the way. */
async function idsByOne(bench: Bench): Promise<string[]> {
  const ids: string[] = [];
  for (let token = ''; ;) {
    const page = await bench.rpc.list(1, token);
    ids.push(...page.ids);
    if (page.next === '') return ids;
    token = page.next;
  }
}

export const controllerChecks: Checks = {
  'a repeated CreateVolume gives the same id, size and context': async (t, bench) => {
    const name = `pvc-${randomUUID()}`;
    const first = await bench.create(name);
    t.equal(first.bytes, bench.backend.sizeBytes);
    t.not(parseVolumeId(first.id), undefined, 'the id is one of ours');
    t.same(await bench.create(name), first);
  },

  'a name that stands for a volume of another size is ALREADY_EXISTS': async (t, bench) => {
    const name = `pvc-${randomUUID()}`;
    const { bytes } = await bench.create(name);
    for (const range of [{ requiredBytes: bytes * 2n }, { requiredBytes: bytes / 2n, limitBytes: bytes / 2n }]) {
      const { code } = await refusal(bench.rpc.create(name, { ...bench.createOptions, ...range }));
      t.equal(code, 'ALREADY_EXISTS');
    }
    const wider = await bench.rpc.create(name, {
      ...bench.createOptions,
      requiredBytes: bytes / 2n,
      limitBytes: bytes * 2n,
    });
    t.equal(wider.bytes, bytes, 'a range that the volume fits into is fine');
  },

  'a name that stands for a volume of other parameters is ALREADY_EXISTS': async (t, bench) => {
    const name = `pvc-${randomUUID()}`;
    await bench.create(name);
    const other = { ...bench.createOptions, parameters: bench.backend.otherParameters };
    const { code, message } = await refusal(bench.rpc.create(name, other));
    t.equal(code, 'ALREADY_EXISTS');
    t.match(message, /parameter/, 'the message names what differs');
  },

  'required_bytes equal to limit_bytes is had exactly': async (t, bench) => {
    const exact = bench.backend.sizeBytes + 4096n;
    const options = { ...bench.createOptions, requiredBytes: exact, limitBytes: exact };
    t.equal((await bench.life.create(options)).bytes, exact);
  },

  'a limit that no volume can have is OUT_OF_RANGE': async (t, bench) => {
    const options = { ...bench.createOptions, requiredBytes: 1n, limitBytes: 4095n };
    t.equal((await refusal(bench.life.create(options))).code, 'OUT_OF_RANGE');
  },

  'a name of 128 odd characters works, and the same name finds the volume again': async (t, bench) => {
    const name = oddName();
    t.equal(Array.from(name).length, 128);
    const { id } = await bench.create(name);
    t.equal((await bench.create(name)).id, id);
    t.ok(Buffer.byteLength(id) <= 128, 'the id keeps to the limit of 128 bytes');
    t.not((await bench.create(`${name.slice(0, -2)}x`)).id, id, 'a name that differs in its last character is another');
  },

  'two names are two volumes': async (t, bench) => {
    const [one, two] = await Promise.all([bench.create(), bench.create()]);
    t.not(one.id, two.id);
  },

  'an unknown parameter is INVALID_ARGUMENT and named': async (t, bench) => {
    const parameters = { ...bench.backend.parameters, colour: 'green' };
    const { code, message } = await refusal(bench.life.create({ ...bench.createOptions, parameters }));
    t.equal(code, 'INVALID_ARGUMENT');
    t.match(message, /colour/);
  },

  'DeleteVolume again, and of ids that name nothing, is OK': async (t, bench) => {
    const { id } = await bench.create();
    await bench.rpc.delete(id);
    await bench.rpc.delete(id);
    for (const garbage of ['fake-vol-id', '../../etc', `${id}x`, `${id}:more`, 'rbd:', 'x'.repeat(128)])
      await bench.rpc.delete(garbage);
    t.notOk((await bench.rpc.list()).ids.includes(id));
  },

  'a deleted name can be used anew': async (t, bench) => {
    const name = `pvc-${randomUUID()}`;
    const first = await bench.create(name);
    await bench.rpc.delete(first.id);
    const larger = await bench.life.create({
      ...bench.createOptions,
      name,
      requiredBytes: bench.backend.sizeBytes * 2n,
    });
    t.equal(larger.bytes, bench.backend.sizeBytes * 2n);
  },

  'ListVolumes moves by exactly one with each create and delete, in pages too': async (t, bench) => {
    const before = await bench.rpc.list();
    const one = await bench.create();
    const two = await bench.create();
    t.same(new Set((await bench.rpc.list()).ids), new Set([...before.ids, one.id, two.id]));
    t.same(await idsByOne(bench), (await bench.rpc.list()).ids, 'pages of one make up the whole');
    await bench.life.delete(one.id);
    t.same(new Set((await bench.rpc.list()).ids), new Set([...before.ids, two.id]));
  },

  'ListVolumes goes on where it was when volumes go away between two pages': async (t, bench) => {
    await Promise.all([bench.create(), bench.create(), bench.create(), bench.create()]);
    const all = (await bench.rpc.list()).ids;
    const page = await bench.rpc.list(2);
    t.same(page.ids, all.slice(0, 2));
    await Promise.all(page.ids.map(async (id) => bench.life.delete(id)));
    t.same((await bench.rpc.list(0, page.next)).ids, all.slice(2), 'nothing is left out and nothing comes twice');
  },

  'a token that ListVolumes did not give out is ABORTED': async (t, bench) => {
    for (const token of ['garbage', 'rbd:garbage', 'cephfs:{}', '1'])
      t.equal((await refusal(bench.rpc.list(1, token))).code, 'ABORTED', token);
  },

  'GetCapacity answers with and without parameters, and refuses a place that is not there': async (t, bench) => {
    t.ok((await bench.rpc.capacity()) > 0n);
    const own = async () => bench.rpc.capacity(bench.backend.parameters);
    // The manager counts a new pool when it gets round to it.
    t.ok((await converge(own, { what: 'GetCapacity of a new pool', withinMs: 60_000 })) > 0n);
    const nowhere = { ...bench.backend.parameters, clusterID: 'nowhere' };
    t.equal((await refusal(bench.rpc.capacity(nowhere))).code, 'INVALID_ARGUMENT');
  },

  'ValidateVolumeCapabilities confirms what works and says why for what does not': async (t, bench) => {
    const volume = await bench.create();
    const { of, impossible } = bench.backend.capabilities;
    const good = await bench.rpc.validate(volume.id, [of('SINGLE_NODE_WRITER')], volume.context);
    t.same(good, { confirmed: true, message: '' });
    const bad = await bench.rpc.validate(volume.id, [of('SINGLE_NODE_WRITER'), impossible]);
    t.notOk(bad.confirmed);
    t.not(bad.message, '');
    t.equal((await refusal(bench.rpc.validate(`${volume.id}x`, [impossible]))).code, 'NOT_FOUND');
    t.equal((await refusal(bench.rpc.validate('fake-vol-id', [impossible]))).code, 'NOT_FOUND');
    t.equal(
      (await refusal(bench.rpc.create(`pvc-${randomUUID()}`, { ...bench.createOptions, capabilities: [impossible] })))
        .code,
      'INVALID_ARGUMENT',
    );
  },
};

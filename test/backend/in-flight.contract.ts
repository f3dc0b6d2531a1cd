import { randomUUID } from 'node:crypto';
import { outcomeOf } from '../integration/outcome.js';
import type { Checks } from './contract-bench.js';

const manyVolumes = 20;

export const inFlightChecks: Checks = {
  'the same CreateVolume many times at once makes one volume': async (t, bench) => {
    const name = `pvc-${randomUUID()}`;
    const volumes = await Promise.all(Array.from({ length: 8 }, async () => bench.create(name)));
    t.equal(new Set(volumes.map((volume) => volume.id)).size, 1);
  },

  'of two CreateVolume with one name and two sizes at once, one is refused': async (t, bench) => {
    const name = `pvc-${randomUUID()}`;
    const small = { ...bench.createOptions, name };
    const large = { ...small, requiredBytes: bench.backend.sizeBytes * 2n };
    const outcomes = await Promise.all([outcomeOf(bench.life.create(small)), outcomeOf(bench.life.create(large))]);
    t.equal(outcomes[0].code, 'OK');
    // Whether the first has ended when the second arrives is a matter of a millisecond.
    t.ok(['ABORTED', 'ALREADY_EXISTS'].includes(outcomes[1].code), outcomes[1].message);
  },

  'the same NodeStageVolume many times at once stages once': async (t, bench) => {
    const volume = await bench.create();
    const staging = bench.site.path('stage');
    const use = { ...bench.use(volume), path: staging };
    await Promise.all(Array.from({ length: 4 }, async () => bench.life.stage(volume.id, use)));
    const target = await bench.life.publish(volume.id, staging, bench.use(volume));
    await bench.write(target, 'once');
    t.equal(await bench.read(target), 'once');
    await bench.life.detach(volume.id, { stagingPath: staging, targetPath: target });
  },

  'another request for a volume in flight is ABORTED at once, and works afterwards': async (t, bench) => {
    const volume = await bench.create();
    // A first stage makes the directory, so that nothing comes before the RPCs that are sent together.
    const staging = await bench.life.stage(volume.id, bench.use(volume));
    await bench.rpc.unstage(volume.id, staging);
    const [first, otherArguments, otherRpc, deletion] = await Promise.all([
      outcomeOf(bench.rpc.stage(volume.id, staging, bench.use(volume))),
      outcomeOf(bench.rpc.stage(volume.id, staging, bench.use(volume, 'SINGLE_NODE_MULTI_WRITER'))),
      outcomeOf(bench.rpc.unstage(volume.id, staging)),
      outcomeOf(bench.rpc.delete(volume.id)),
    ]);
    t.equal(first.code, 'OK', first.message);
    for (const other of [otherArguments, otherRpc, deletion]) t.equal(other.code, 'ABORTED');
    t.match(otherRpc.message, /NodeStageVolume/, 'the message says what is still working');
    await bench.life.unstage(volume.id, staging);
  },

  'twenty volumes are staged, written, read and unstaged at once': async (t, bench) => {
    const volumes = await Promise.all(Array.from({ length: manyVolumes }, async () => bench.create()));
    const outcomes = await Promise.all(
      volumes.map(async (volume) =>
        outcomeOf(
          (async () => {
            const paths = await bench.life.attach(volume.id, bench.use(volume));
            await bench.write(paths.targetPath, volume.id);
            t.equal(await bench.read(paths.targetPath), volume.id);
            await bench.life.detach(volume.id, paths);
          })(),
        ),
      ),
    );
    t.same(
      outcomes.filter((outcome) => outcome.code !== 'OK'),
      [],
    );
  },
};

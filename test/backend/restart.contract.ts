import type { Test } from 'tap';
import type { Bench, Checks } from './contract-bench.js';

async function survives(t: Test, bench: Bench, signal: NodeJS.Signals): Promise<void> {
  const volume = await bench.create();
  const use = bench.use(volume);
  const { stagingPath, targetPath } = await bench.life.attach(volume.id, use);
  await bench.write(targetPath, 'before');
  await bench.site.restart(signal, async () => {
    t.equal(await bench.read(targetPath), 'before', 'the data is there while no driver runs');
    await bench.write(targetPath, 'meanwhile');
  });
  await bench.rpc.stage(volume.id, stagingPath, use);
  await bench.rpc.publish(volume.id, stagingPath, targetPath, use);
  t.equal(await bench.read(targetPath), 'meanwhile');
  t.ok((await bench.rpc.stats(volume.id, targetPath)).length > 0);
  await bench.life.detach(volume.id, { stagingPath, targetPath });
  await bench.life.stage(volume.id, { ...use, path: stagingPath });
  await bench.life.publish(volume.id, stagingPath, { ...use, path: targetPath });
  t.equal(await bench.read(targetPath), 'meanwhile');
}

export const restartChecks: Checks = {
  'a volume in use outlives the SIGTERM of the driver, and the next driver knows it': async (t, bench) => {
    await survives(t, bench, 'SIGTERM');
  },

  'a volume in use outlives the SIGKILL of the driver, and the next driver knows it': async (t, bench) => {
    await survives(t, bench, 'SIGKILL');
  },

  'the next driver unpublishes and unstages what the killed one has attached': async (t, bench) => {
    const volume = await bench.create();
    const paths = await bench.life.attach(volume.id, bench.use(volume));
    await bench.write(paths.targetPath, 'kept');
    await bench.site.restart('SIGKILL');
    await bench.life.detach(volume.id, paths);
    const { targetPath } = await bench.life.attach(volume.id, bench.use(volume));
    t.equal(await bench.read(targetPath), 'kept');
  },

  'a volume made before a restart is found by its name afterwards': async (t, bench) => {
    const volume = await bench.create('made before a restart');
    await bench.site.restart('SIGKILL');
    t.same(await bench.create('made before a restart'), volume);
  },
};

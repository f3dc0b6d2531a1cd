import { type ChildProcess, spawn } from 'node:child_process';
import { open, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { Container, inOwnMounts } from '../harness/container.js';
import { mountCapability } from '../harness/requests.js';
import { eventually } from './images.js';
import { refusal } from './outcome.js';
import { Site } from './site.js';

t.setTimeout(120_000);

const launcher = fileURLToPath(new URL('../../../bin/cuttle.cjs', import.meta.url));
const socket = `/tmp/cuttle-hold-${process.pid}.sock`;

async function startHolder(t: Test): Promise<ChildProcess> {
  const holder = spawn(process.execPath, [launcher, 'hold', '--endpoint', `unix://${socket}`], { stdio: 'ignore' });
  t.teardown(() => holder.kill());
  const isThere = async () =>
    stat(socket).then(
      () => true,
      () => false,
    );
  if (!(await eventually(isThere, 10_000))) throw new Error('the holder does not listen');
  return holder;
}

/** Appends a line every few milliseconds, down to the disk. @returns what ends it: how many lines, and the longest that one has taken. */
function keepWriting(path: string): () => Promise<{ lines: number; slowestMs: number }> {
  let goOn = true;
  const writing = (async () => {
    let lines = 0;
    let slowestMs = 0;
    const file = await open(path, 'a');
    while (goOn) {
      const startMs = performance.now();
      await file.write(`${lines}\n`);
      await file.datasync();
      slowestMs = Math.max(slowestMs, performance.now() - startMs);
      lines += 1;
      await sleep(5);
    }
    await file.close();
    return { lines, slowestMs };
  })();
  writing.catch(() => undefined); // whoever ends it sees it
  return async () => {
    goOn = false;
    return writing;
  };
}

const holder = await startHolder(t);
const site = await Site.open(t, {
  args: ['--holder', `unix://${socket}`],
  program: [...inOwnMounts, process.execPath, launcher],
  isShared: true,
});

const kinds = {
  'an RBD volume through the userspace mapper': {
    program: 'qemu-storage-daemon',
    use: () => ({ parameters: { pool: site.pool }, capability: mountCapability('SINGLE_NODE_MULTI_WRITER') }),
  },
  'a CephFS volume through ceph-fuse': {
    program: 'ceph-fuse',
    use: () => ({ parameters: { backend: 'cephfs' }, capability: mountCapability('MULTI_NODE_MULTI_WRITER', '') }),
  },
};

for (const [what, { program, use }] of Object.entries(kinds)) {
  t.test(`${what} is written to while the node plugin's container is killed and replaced`, async (t) => {
    const container = await Container.create(`cuttle-${process.pid}`);
    t.teardown(async () => container.remove());
    await container.add(site.driver.pid);
    const life = site.life(t);
    const { parameters, capability } = use();
    const { id } = await life.create({ parameters, capabilities: [capability] });
    const staging = await life.stage(id, { capability });
    const target = await life.publish(id, staging, { capability });
    const end = keepWriting(join(target, 'log'));
    await sleep(200);
    const inside = await container.pids();
    t.ok(inside.includes(site.driver.pid));
    t.same(await programsOf(inside, program), [], 'the daemon is not in the container');

    await site.restart('SIGKILL', async () => {
      await container.kill();
      await sleep(500);
    });
    await sleep(200);
    const { lines, slowestMs } = await end();
    t.comment(`${lines} lines, the slowest ${slowestMs.toFixed(0)} ms`);
    t.ok(lines > 50, `${lines} lines were written`);
    t.equal(await readFile(join(target, 'log'), 'utf8'), Array.from({ length: lines }, (_, i) => `${i}\n`).join(''));
    // In another mount namespace than that in which all of it was made.
    await life.rpc.stage(id, staging, { capability });
    await life.rpc.publish(id, staging, target, { capability });
    t.match(await life.rpc.stats(id, target), [{ unit: 'BYTES' }]);
    const second = await life.publish(id, staging, { capability });
    t.equal((await stat(join(second, 'log'))).ino, (await stat(join(target, 'log'))).ino);
    await life.end();
    t.same(await eventually(async () => (await programsOf(undefined, program)).length === 0, 15_000), true);
  });
}

t.test('without its holder nothing new is staged, and the error says so', async (t) => {
  const life = site.life(t);
  const { parameters, capability } = kinds['a CephFS volume through ceph-fuse'].use();
  const { id } = await life.create({ parameters, capabilities: [capability] });
  holder.kill('SIGSTOP');
  holder.kill('SIGKILL');
  const { code, message } = await refusal(life.stage(id, { capability }));
  t.equal(code, 'UNAVAILABLE');
  t.match(message, `the holder at ${socket} does not answer: see that its pod runs on this node`);
  await rm(socket, { force: true });
});

/** @param among undefined = all processes. */
async function programsOf(among: readonly number[] | undefined, program: string): Promise<number[]> {
  const { localDaemons } = await import('../../src/platform/daemons.js');
  const found = await localDaemons.find(program, site.directory);
  return among === undefined ? found : found.filter((pid) => among.includes(pid));
}

import { execa } from 'execa';
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  linkSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { DriverError } from '../../src/domain/errors.js';
import { context, countedNames } from './contract-subject.js';
import { copied, type CopyGround, eight, openCopyGround } from './copy-ground.js';
import { buildOddTree, surveyOf } from './odd-tree.js';

t.setTimeout(120_000);

t.test('copies of trees that do not go through at once', async (t) => {
  const ground = await openCopyGround(t);
  buildOddTree(ground.onHost(`${ground.base}/odd`), 30);
  const snapshot = await ground.snapshot(`${ground.base}/odd`);
  await cutOff(t, ground, snapshot);
  await halfFiles(t, ground);
  await killed(t, ground, snapshot);
  await unsent(t, ground);
});

async function cutOff(t: Test, { fs, onHost, ...ground }: CopyGround, snapshot: string): Promise<void> {
  await t.test('cut off again and again, it gets whole', async (t) => {
    const to = await ground.target('cut-off');
    let cuts = 0;
    for (let limitMs = 5; !(await copiedWithin(limitMs * (0.5 + Math.random()))); limitMs *= 1.3) cuts += 1;
    t.ok(cuts > 2, `${cuts} times`);
    t.same(surveyOf(onHost(to)), surveyOf(onHost(snapshot)));

    async function copiedWithin(ms: number): Promise<boolean> {
      const controller = new AbortController();
      const timer = setTimeout(() => {
        controller.abort(new DriverError('CANCELLED', 'the caller has gone'));
      }, ms);
      const copying = fs.copyTree({ ...context(), signal: controller.signal }, snapshot, to, eight);
      return copying
        .then(
          () => true,
          (error: unknown) => {
            t.match(error, { code: 'CANCELLED' });
            return false;
          },
        )
        .finally(() => {
          clearTimeout(timer);
        });
    }
  });
}

async function halfFiles(t: Test, ground: CopyGround): Promise<void> {
  await t.test('a client copies once more what it has written before, also beyond the first 4 MiB', async (t) => {
    const from = await ground.target('late');
    const to = await ground.target('late-copy');
    const path = ground.onHost(`${from}/data`);
    writeFileSync(path, '');
    truncateSync(path, 5 << 20);
    appendFileSync(path, 'late');
    linkSync(path, ground.onHost(`${from}/hard`));
    const snapshot = await ground.snapshot(from);
    await ground.fs.copyTree(context(), snapshot, to, eight);
    const wanted = surveyOf(ground.onHost(snapshot));
    t.same(surveyOf(ground.onHost(to)), wanted);
    await ground.fs.setMode(context(), `${to}/data`, 0o600);
    t.ok((await copied(ground, snapshot, to)).bytes > 5n << 20n, 'it is written once more');
    t.same(surveyOf(ground.onHost(to)), wanted);
  });
}

async function killed(t: Test, { cluster, onHost, ...ground }: CopyGround, snapshot: string): Promise<void> {
  await t.test('killed right after the copy was renamed into place, nothing is lost', async (t) => {
    const hidden = await ground.target('hidden');
    const to = `${ground.base}/in-place`;
    const orders = { monitors: cluster.monHost, key: cluster.adminKey, from: snapshot, hidden, to };
    const victim = join(import.meta.dirname, 'tree-copy-victim.js');
    const running = execa(process.execPath, [victim], { input: JSON.stringify(orders), reject: false });
    const died = await running;
    t.equal(died.signal, 'SIGKILL', died.stderr);
    const listed = await cluster.ceph(['tell', 'mds.a', 'client', 'ls', '--format', 'json']);
    const clients = JSON.parse(listed) as { id: number; client_metadata: { pid?: string } }[];
    const left = clients.filter(({ client_metadata }) => client_metadata.pid === String(running.pid));
    t.equal(left.length, 1);
    for (const { id } of left) await cluster.ceph(['tell', 'mds.a', 'client', 'evict', `id=${id}`]);
    t.same(surveyOf(onHost(to)), surveyOf(onHost(snapshot)));
  });
}

async function unsent(t: Test, ground: CopyGround): Promise<void> {
  await t.test('what a client had written and not yet sent when the snapshot was taken is in the copy', async (t) => {
    const { fs, onHost } = ground;
    const from = await ground.target('unsent');
    const to = await ground.target('unsent-copy');
    const written = openSync(onHost(`${from}/large`), 'w');
    for (let i = 0; i < 60; i++) writeSync(written, randomBytes(1 << 20));
    for (const name of countedNames('small-', 100)) writeFileSync(onHost(`${from}/${name}`), name);
    const snapshot = await ground.snapshot(from);
    await fs.copyTree(context(), snapshot, to, eight);
    closeSync(written);
    t.same(surveyOf(onHost(to)), surveyOf(onHost(snapshot)));
    t.equal(readFileSync(onHost(`${to}/small-00099`), 'utf8'), 'small-00099');
    t.equal(statSync(onHost(`${to}/large`)).size, 60 << 20);
  });
}

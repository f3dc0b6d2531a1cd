import { readdirSync, readFileSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { context, failureOf } from './contract-subject.js';
import { copied, type CopyGround, eight, openCopyGround } from './copy-ground.js';
import { buildOddTree, surveyOf } from './odd-tree.js';

t.setTimeout(120_000);

t.test('copies of trees as workloads leave them', async (t) => {
  const ground = await openCopyGround(t);
  const { base, fs, onHost } = ground;
  await fs.makeDirectories(context(), `${base}/outside`, 0o755);
  writeFileSync(onHost(`${base}/outside/file`), 'precious');
  const odd = `${base}/odd`;
  buildOddTree(onHost(odd), 30);
  const snapshot = await ground.snapshot(odd);
  await everything(t, ground, snapshot);
  await failures(t, ground, snapshot);
});

async function everything(t: Test, ground: CopyGround, snapshot: string): Promise<void> {
  const { base, fs, onHost } = ground;
  const to = await ground.target('everything', 1_000_000_000);

  await t.test('a snapshot is copied with all that its files have', async (t) => {
    writeFileSync(onHost(`${base}/odd/later`), 'not in the snapshot');
    unlinkSync(onHost(`${base}/odd/a/b/large`));
    const wanted = surveyOf(onHost(snapshot));
    const { entries, told, seconds } = await copied(ground, snapshot, to);
    t.same(surveyOf(onHost(to)), wanted);
    t.equal(entries, wanted.length - 1);
    t.ok(told <= 2 + 2 * seconds, `told ${told} times in ${seconds} s`);
    const own = new Map([
      ['trusted.cuttle.volume', 'the target'],
      ['ceph.quota.max_bytes', '1000000000'],
    ]);
    t.same(await fs.attributes(context(), to, [...own.keys()]), own, 'the target’s own');
    t.equal(readFileSync(onHost(`${base}/outside/file`), 'utf8'), 'precious');
    t.same(readdirSync(onHost(`${base}/outside`)), ['file']);
  });

  await t.test('again, it copies nothing, and puts right what is missing or half', async (t) => {
    const wanted = surveyOf(onHost(snapshot));
    t.equal((await copied(ground, snapshot, to)).bytes, 0n);
    t.same(surveyOf(onHost(to)), wanted);
    unlinkSync(onHost(`${to}/a/b/c/hard`));
    truncateSync(onHost(`${to}/a/b/one-block`), 1 << 20);
    unlinkSync(onHost(`${to}/fifo`));
    writeFileSync(onHost(`${to}/fifo`), 'no fifo');
    const { bytes } = await copied(ground, snapshot, to);
    t.same(surveyOf(onHost(to)), wanted);
    t.ok(bytes <= (4n << 20n) + 600n, `${bytes} bytes`);
  });
}

async function failures(t: Test, ground: CopyGround, snapshot: string): Promise<void> {
  const { base, fs, onHost } = ground;

  await t.test('what is missing, no directory, or no snapshot is refused', async (t) => {
    const to = await ground.target('refused');
    const failure = async (from: string, target = to) => failureOf(fs.copyTree(context(), from, target, eight));
    t.match(await failure(`${base}/odd/.snap/missing`), { code: 'NOT_FOUND' });
    t.match(await failure(snapshot, `${base}/missing`), { code: 'NOT_FOUND' });
    t.match(await failure(`${snapshot}/setuid`), { code: 'FAILED_PRECONDITION' });
    t.match(await failure(`${base}/odd`), { code: 'INVALID_ARGUMENT', message: /only a snapshot stands still/ });
    t.same(readdirSync(onHost(to)), []);
  });

  await t.test('where a quota ends the copy, the error names the file, and a larger one lets it go on', async (t) => {
    const to = await ground.target('too-small', 6_000_000);
    const failure = await failureOf(fs.copyTree(context(), snapshot, to, eight));
    t.match(failure, { code: 'RESOURCE_EXHAUSTED', message: new RegExp(`can't copy ${snapshot}/.+ to ${to} .*quota`) });
    await fs.setAttribute(context(), to, 'ceph.quota.max_bytes', '1000000000');
    await fs.copyTree(context(), snapshot, to, eight);
    t.same(surveyOf(onHost(to)), surveyOf(onHost(snapshot)));
  });
}

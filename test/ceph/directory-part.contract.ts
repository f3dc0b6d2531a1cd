import type { Test } from 'tap';
import type { CephFileSystem } from '../../src/ceph/client.js';
import { context, type ContractSubject, countedNames, eachConcurrently, failureOf } from './contract-subject.js';

const total = 1_100; // more than the MDS gives at once
const directory = { mode: 0o755, attributes: new Map<string, string>() };

/** @param fewest how many are asked for at once; @param between what happens after each part */
async function readParts(
  fs: CephFileSystem,
  path: string,
  fewest: number,
  between: (last: string) => Promise<void> = async () => Promise.resolve(),
): Promise<string[]> {
  const names: string[] = [];
  for (let after = ''; ;) {
    const { entries, isLast } = await fs.listPart(context(), path, after, fewest);
    names.push(...entries.map(({ name }) => name));
    const last = entries.at(-1);
    if (isLast || last === undefined) return names;
    if (entries.length < fewest) throw new Error(`${entries.length} entries of ${fewest}, and it isn't the end`);
    after = last.place;
    await between(last.name);
  }
}

export async function directoryPartContract(t: Test, subject: ContractSubject): Promise<void> {
  const connection = await subject.client.connect(context(), subject.access);
  const fs = await connection.fileSystem(context(), subject.fileSystem, ['/']);
  const base = `/parts-${process.pid}`;
  const names = countedNames('entry-', total);
  await fs.makeDirectories(context(), base, 0o755);
  await eachConcurrently(names, 16, async (name) => fs.makeDirectory(context(), `${base}/${name}`, directory));

  await t.test('parts of any size make up the whole, each entry once and in one order', async (t) => {
    const whole = await readParts(fs, base, total);
    t.same(new Set(whole), new Set(names));
    for (const fewest of [1, 7, 255, 256, 500, 1_023, 1_024]) {
      if (fewest === 1) t.same((await fs.listPart(context(), base, '', 1)).entries[0]?.name, whole[0]);
      else t.same(await readParts(fs, base, fewest), whole, `parts of ${fewest}`);
    }
  });

  await t.test('another client has the same places', async (t) => {
    const there = await subject.anotherClient().connect(context(), subject.access);
    const other = await there.fileSystem(context(), subject.fileSystem, ['/']);
    const { entries } = await fs.listPart(context(), base, '', 100);
    const [here, elsewhere] = await Promise.all(
      [fs, other].map(async (one) => one.listPart(context(), base, entries[49]?.place ?? '', 50)),
    );
    t.same(elsewhere?.entries, here?.entries);
    t.equal(here?.entries[0]?.name, entries[50]?.name);
  });

  await t.test('entries that come and go between parts upset neither order nor the others', async (t) => {
    const kept = await readParts(fs, base, total);
    let step = 0;
    const seen = await readParts(fs, base, 100, async (last) => {
      step += 1;
      await fs.makeDirectory(context(), `${base}/late-${step}`, directory);
      // The very entry that the next part begins after.
      await fs.removeDirectory(context(), `${base}/${last}`);
    });
    t.same(
      seen.filter((name) => !name.startsWith('late-')),
      kept,
      'each that was there all the time, once',
    );
  });

  await t.test('what is no place, and what is no directory, is refused', async (t) => {
    for (const place of ['x', ':', '12', 'zz:name', '../..'])
      t.match(await failureOf(fs.listPart(context(), base, place, 1)), { errno: 22 }, place);
    t.match(await failureOf(fs.listPart(context(), `${base}/missing`, '', 1)), { code: 'NOT_FOUND', errno: 2 });
  });

  await fs.removeTree(context(), base, { concurrency: 8 });
}

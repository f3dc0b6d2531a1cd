import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { asDirectory, openGroup, pathOf } from './group.js';
import { eventually } from './images.js';
import { refusal } from './outcome.js';

t.setTimeout(180_000);

const { site, group } = await openGroup(t, { args: ['--backends', 'cephfs'] });
const copies = `${group.path}/.cuttle/copies`;
/** Enough for a copy to be seen under way. */
const files = 3_000;

async function fill(path: string): Promise<void> {
  const directory = join(group.onHost(path), 'many');
  await mkdir(directory);
  const names = Array.from({ length: files }, (_, i) => join(directory, `file-${i}`));
  for (let i = 0; i < names.length; i += 100)
    await Promise.all(names.slice(i, i + 100).map(async (name) => writeFile(name, name)));
}

const isUnderWay = async (): Promise<boolean> => (await group.list(copies)).length > 0;

t.test('a volume is restored although its source is deleted meanwhile', async (t) => {
  const life = site.life(t);
  const source = await life.create(asDirectory);
  await fill(pathOf(source.id));
  const { id: snapshot } = await life.snapshot(source.id);
  const restoring = life.create({ ...asDirectory, source: { snapshot } });
  t.ok(await eventually(isUnderWay, 10_000), 'the copy is under way');
  await life.delete(source.id);
  t.ok(await isUnderWay(), 'and has not ended before the source went');
  const restored = await restoring;
  t.equal((await readdir(join(group.onHost(pathOf(restored.id)), 'many'))).length, files);
});

t.test('a clone whose source is deleted meanwhile is refused, and nothing of it stays', async (t) => {
  const life = site.life(t);
  const source = await life.create(asDirectory);
  await fill(pathOf(source.id));
  const clone = async () =>
    refusal(site.rpc.create('clone of a deleted one', { ...asDirectory, source: { volume: source.id } }));
  const cloning = clone();
  t.ok(await eventually(isUnderWay, 10_000), 'the copy is under way');
  await life.delete(source.id);
  t.ok(await isUnderWay(), 'and has not ended before the source went');
  let outcome = await cloning;
  // What is read where a snapshot has just gone may be missed, or may come from memory.
  for (let i = 0; i < 10 && outcome.code === 'ABORTED'; i++) outcome = await clone();
  t.match(outcome, { code: 'NOT_FOUND', message: /does not exist/ });
  t.same(await group.list(copies), []);
  t.ok(await group.isPurged());
});

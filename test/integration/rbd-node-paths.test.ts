import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { blockCapability, mountCapability } from '../harness/requests.js';
import { mountEntry } from './leftovers.js';
import { refusal } from './outcome.js';
import { Site } from './site.js';

t.setTimeout(120_000);

const site = await Site.open(t);
const create = { parameters: { pool: site.pool }, requiredBytes: 32n << 20n };

t.test('a staging path that is a file is refused and left as it is', async (t) => {
  const life = site.life(t);
  const { id } = await life.create(create);
  const path = await life.file('file', 'mine');
  t.equal((await refusal(life.rpc.stage(id, path))).code, 'INVALID_ARGUMENT');
  t.equal(await readFile(path, 'utf8'), 'mine');
});

t.test('a staging path where something else is mounted is refused, naming it, and left mounted', async (t) => {
  const life = site.life(t);
  const { id } = await life.create(create);
  const path = site.path('stage');
  await mkdir(path);
  execFileSync('mount', ['-t', 'tmpfs', 'foreign', path]);
  t.teardown(() => execFileSync('umount', [path]));
  const { code, message } = await refusal(life.rpc.stage(id, path));
  t.equal(code, 'FAILED_PRECONDITION');
  t.match(message, /foreign \(tmpfs\)/);
  t.equal((await mountEntry(path))?.fsType, 'tmpfs');
});

t.test('another volume at the staging path is refused, and the first goes on', async (t) => {
  const life = site.life(t);
  const [one, two] = [await life.create(create), await life.create(create)];
  const path = await life.stage(one.id);
  t.equal((await refusal(life.rpc.stage(two.id, path))).code, 'FAILED_PRECONDITION');
  await writeFile(join(path, 'still'), 'works');
});

t.test('a volume that is staged in another way is ALREADY_EXISTS', async (t) => {
  const life = site.life(t);
  const { id } = await life.create(create);
  const path = await life.stage(id);
  for (const capability of [blockCapability(), mountCapability('MULTI_NODE_READER_ONLY')])
    t.equal((await refusal(life.rpc.stage(id, path, { capability }))).code, 'ALREADY_EXISTS');
});

for (const path of ['relative/path', '/tmp/../etc', '/..', '']) {
  t.test(`the path "${path}" is INVALID_ARGUMENT wherever it is given`, async (t) => {
    const { rpc } = site;
    const id = 'rbd:default:rbd::none';
    const good = site.path('good');
    const works = [
      rpc.stage(id, path),
      rpc.unstage(id, path),
      rpc.publish(id, good, path),
      rpc.unpublish(id, path),
      ...(path === '' ? [] : [rpc.publish(id, path, good)]),
    ];
    for (const { code } of await Promise.all(works.map(refusal))) t.equal(code, 'INVALID_ARGUMENT');
  });
}

t.test('a target of the wrong kind is refused and left as it is', async (t) => {
  const life = site.life(t);
  const { id } = await life.create(create);
  const staging = await life.stage(id);
  const file = await life.file('file', 'mine');
  t.equal((await refusal(life.rpc.publish(id, staging, file))).code, 'INVALID_ARGUMENT');
  t.equal(await readFile(file, 'utf8'), 'mine');
  await life.unstage(id, staging);
  const block = { capability: blockCapability() };
  const device = await life.stage(id, block);
  const directory = site.path('directory');
  await mkdir(directory);
  t.equal((await refusal(life.rpc.publish(id, device, directory, block))).code, 'INVALID_ARGUMENT');
});

t.test('a target whose parents are missing is made, and one with blanks and odd letters works', async (t) => {
  const life = site.life(t);
  const { id } = await life.create(create);
  const staging = await life.stage(id, { path: join(site.directory, 'deep', 'er', 'stage') });
  const path = join(site.directory, 'tar get', 'ünï\tcode', 'mount');
  await life.publish(id, staging, { path });
  await writeFile(join(path, 'note'), 'x');
  await life.rpc.publish(id, staging, path);
  t.equal((await life.rpc.stats(id, path)).length, 2);
});

t.test('a target directory that holds files of somebody is not deleted by unpublish', async (t) => {
  const life = site.life(t);
  const directory = site.path('directory');
  await mkdir(directory);
  await writeFile(join(directory, 'theirs'), 'precious');
  await refusal(life.rpc.unpublish('rbd:default:rbd::none', directory));
  t.equal(await readFile(join(directory, 'theirs'), 'utf8'), 'precious');
});

t.test('an id with dots or separators in a field names no volume', async (t) => {
  const life = site.life(t);
  for (const id of [
    'rbd:default:rbd::..',
    'rbd:default:..::image',
    'rbd:default:rbd:..:image',
    'rbd:default:rbd::a%2Fb',
  ])
    t.equal((await refusal(life.stage(id))).code, 'NOT_FOUND', id);
});

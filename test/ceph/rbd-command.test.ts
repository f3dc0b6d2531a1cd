import { execa } from 'execa';
import t, { type Test } from 'tap';
import { useCluster } from '../harness/cluster.js';
import { context, creation, openPool } from './contract-subject.js';
import { realSubject } from './real-subject.js';

t.setTimeout(120_000);

interface RbdInfo {
  readonly id: string;
  readonly size: number;
  readonly order: number;
  readonly data_pool?: string;
  readonly features: readonly string[];
  readonly stripe_unit?: number;
  readonly stripe_count?: number;
}

const featureBits: Readonly<Record<string, bigint>> = {
  layering: 1n,
  striping: 2n,
  'exclusive-lock': 4n,
  'object-map': 8n,
  'fast-diff': 16n,
  'deep-flatten': 32n,
  'data-pool': 128n,
};

t.test('the rbd command sees what the client says, and the other way round', async (t) => {
  const cluster = await useCluster();
  t.teardown(async () => cluster.stop());
  const subject = realSubject(cluster);
  const pool = await openPool(subject);
  const dataPool = await subject.createPool();
  const { images } = pool;
  const rbd = async (...args: string[]) => cluster.rbd(['--pool', pool.name, ...args]);
  const info = async (name: string) => JSON.parse(await rbd('info', '--format', 'json', name)) as RbdInfo;

  const creations = {
    plain: creation(),
    large: creation({ sizeBytes: 1n << 53n, features: 1n }),
    'small-objects': creation({ order: 16, features: 5n }),
    striped: creation({ stripeUnitBytes: 1n << 16n, stripeCount: 4n }),
    'data-pool': creation({ dataPool }),
    everything: creation({ order: 24, stripeUnitBytes: 4096n, stripeCount: 16n, dataPool }),
  };
  for (const [name, image] of Object.entries(creations)) {
    await t.test(`an image of ours: ${name}`, async (t) => {
      await images.create(context(), name, image);
      await sameAsInfo(t, name);
    });
  }

  await t.test('an image of ours is in nothing unlike one that the rbd command makes', async (t) => {
    for (const [name, { features, sizeBytes, order }] of Object.entries({
      'default-features': creation(),
      'odd-size': creation({ sizeBytes: (5n << 22n) + 4096n }),
      'layering-alone': creation({ features: 1n }),
      'lock-alone': creation({ features: 5n }),
      'no-deep-flatten': creation({ features: 29n, order: 20 }),
      empty: creation({ sizeBytes: 0n }),
    })) {
      await images.create(
        context(),
        `ours-${name}`,
        creation({ sizeBytes, features, ...(order === undefined ? {} : { order }) }),
      );
      const wanted = Object.keys(featureBits).filter((one) => (features & (featureBits[one] ?? 0n)) !== 0n);
      await rbd(
        ...['create', '--size', `${sizeBytes}B`, '--object-size', `${2 ** (order ?? 22)}B`],
        ...wanted.flatMap((one) => ['--image-feature', one]),
        `theirs-${name}`,
      );
      t.same(await everythingOf(`ours-${name}`), await everythingOf(`theirs-${name}`), name);
      await rbd('object-map', 'check', '--no-progress', `ours-${name}`).catch((error: unknown) => {
        if (wanted.includes('object-map')) throw error;
      });
      await rbd('resize', '--no-progress', '--size', '64M', `ours-${name}`, '--allow-shrink');
      await rbd('snap', 'create', '--no-progress', `ours-${name}@one`);
      await rbd('snap', 'purge', '--no-progress', `ours-${name}`);
      await rbd('rm', '--no-progress', `ours-${name}`);
    }
  });

  await t.test("a pool's and the cluster's defaults are honoured", async (t) => {
    await cluster.rbd(['config', 'pool', 'set', pool.name, 'rbd_default_order', '24']);
    const other = realSubject(cluster);
    const connection = await other.client.connect(context(), other.access);
    const again = await connection.pool(context(), pool.name, '');
    await again.images.create(context(), 'by-pool-default', creation());
    t.equal((await info('by-pool-default')).order, 24);
    await cluster.rbd(['config', 'pool', 'remove', pool.name, 'rbd_default_order']);
    await other.dispose();
  });

  await t.test('an image made by the rbd command', async (t) => {
    await rbd('create', '--size', '123M', '--object-size', '8M', '--image-feature', 'layering', 'by-hand');
    await rbd('image-meta', 'set', 'by-hand', 'note', 'made by hand');
    await sameAsInfo(t, 'by-hand');
    const { id, metadata } = await images.header(context(), 'by-hand', ['note']);
    t.equal(metadata.get('note'), 'made by hand');
    await images.setMetadata(context(), id, new Map([['answer', 'größer']]));
    t.equal(await rbd('image-meta', 'get', 'by-hand', 'answer'), 'größer');
    await images.grow(context(), 'by-hand', 5n << 30n);
    t.equal((await info('by-hand')).size, 5 * 2 ** 30);
  });

  await t.test('the list and the trash', async (t) => {
    const names = JSON.parse(await rbd('ls', '--format', 'json')) as string[];
    t.same([...(await images.list(context(), '', 1000)).keys()], names.toSorted());
    await images.moveToTrash(context(), 'plain');
    const trash = JSON.parse(await rbd('trash', 'ls', '--format', 'json')) as { id: string; name: string }[];
    t.same(
      await images.listTrash(context()),
      trash.map(({ id, name }) => ({ id, name })),
    );
  });
  await subject.dispose();

  /** All objects of an image that hold no data, byte by byte and key by key, but for what is an image's own. */
  async function everythingOf(name: string): Promise<unknown> {
    const { id } = await info(name);
    const rados = async (...args: string[]) =>
      (await execa('rados', ['--conf', cluster.confPath, '--pool', pool.name, ...args], { encoding: 'latin1' })).stdout;
    const objects = (await rados('ls'))
      .split('\n')
      .filter((object) => object.endsWith(`.${id}`) || object === `rbd_id.${name}`);
    const parts = await Promise.all(
      objects.sort().map(async (object) => {
        const content = await rados('get', object, '-');
        const map = await rados('listomapvals', object);
        // What holds the id differs in its length.
        return [
          object,
          object.startsWith('rbd_id.') ? content.slice(4) : content,
          map.replace(/((?:_timestamp|object_prefix)\n)value[^\n]*\n(?:0[^\n]*\n)*/g, '$1'),
        ];
      }),
    );
    return JSON.parse(JSON.stringify(parts).replaceAll(name, 'NAME').replaceAll(id, 'ID')) as unknown;
  }

  async function sameAsInfo(t: Test, name: string): Promise<void> {
    const said = await info(name);
    const header = await images.header(context(), name, []);
    const layout = await images.layout(context(), name);
    t.equal(header.id, said.id);
    t.equal(header.sizeBytes, BigInt(said.size));
    t.equal(
      header.features,
      said.features.reduce((bits, feature) => bits | (featureBits[feature] ?? 0n), 0n),
    );
    t.equal(layout.order, said.order);
    t.equal(layout.dataPool, said.data_pool);
    t.equal(layout.stripeUnitBytes, BigInt(said.stripe_unit ?? 2 ** said.order));
    t.equal(layout.stripeCount, BigInt(said.stripe_count ?? 1));
  }
});

import { execa } from 'execa';
import { defaultVolumeNamePrefix, objectNameFor } from '../../src/backend/object-name.js';
import { formatVolumeId } from '../../src/domain/volume-id.js';
import type { TestCluster } from '../harness/cluster.js';
import { mountCapability } from '../harness/requests.js';
import type { Ground } from './ground.js';
import { openRawImages } from './raw-images.js';

/** Objects that belong to the namespace and not to any volume in it. */
const furniture = ['rbd_directory', 'rbd_info', 'rbd_trash', 'rbd_children', 'cuttle.snapshots', 'cuttle.flatten'];
const registries = ['cuttle.snapshots', 'cuttle.flatten'];

/** Images in a namespace of their own in the cluster's pool for RBD. */
export async function rbdGround(cluster: TestCluster, namespace: string, config = ''): Promise<Ground> {
  const pool = cluster.rbdPool;
  const spec = `${pool}/${namespace}`;
  await cluster.rbd(['namespace', 'create', spec]);
  const raw = await openRawImages(cluster.confPath, pool, namespace);
  const objectOf = (name: string) => objectNameFor(name, defaultVolumeNamePrefix);
  const lines = (text: string) => text.split('\n').filter((line) => line !== '');
  const rados = async (...args: string[]) => {
    const where = ['--conf', cluster.confPath, '--name', 'client.admin', '--pool', pool, '--namespace', namespace];
    const { stdout, stderr, failed } = await execa('rados', [...where, ...args], { reject: false });
    if (failed && !stderr.includes('No such file')) throw new Error(`rados ${args.join(' ')}: ${stderr}`);
    return lines(stdout);
  };
  /** Data that only a snapshot holds has no object of its own: when no image has that snapshot any more, it is out of anybody's reach. */
  const headless = async () => {
    const names = (await rados('ls')).filter((name) => name.startsWith('rbd_data.'));
    const found = await Promise.all(names.map(async (name) => (await rados('stat', name)).length > 0));
    return new Set(names.filter((_name, i) => found[i] === false));
  };
  return {
    kind: {
      name: 'rbd',
      parameters: { pool },
      capability: mountCapability('SINGLE_NODE_MULTI_WRITER'),
      hasWatchers: true,
      objectOf,
      idOf: (name) => formatVolumeId({ backend: 'rbd', clusterId: 'default', pool, namespace, image: objectOf(name) }),
    },
    config: `    rbd:\n      namespace: ${namespace}\n${config}`,
    objects: async () => new Set(lines(await cluster.rbd(['ls', spec]))),
    write: async (name, text) => raw.write(objectOf(name), text),
    read: async (name) => raw.read(objectOf(name)),
    problems: async () => Promise.resolve([]),
    remains: async () => {
      const strays = await headless();
      const left = [
        ...lines(await cluster.rbd(['ls', spec])).map((line) => `image: ${line}`),
        ...lines(await cluster.rbd(['trash', 'ls', '--all', spec])).map((line) => `image in the trash: ${line}`),
        ...(await rados('ls'))
          .filter((name) => !furniture.includes(name) && !strays.has(name))
          .map((name) => `object: ${name}`),
      ];
      for (const object of registries)
        left.push(...(await rados('listomapkeys', object)).map((key) => `key in ${object}: ${key}`));
      return left;
    },
    close: async () => {
      const strays = await headless();
      // librbd was killed between two steps of removing a snapshot (ADR 18): said, because the space is lost.
      if (strays.size > 0) console.log(`  rbd: ${strays.size} objects are held by snapshot ids that no image has`);
      await raw.close();
      for (const object of registries) await rados('rm', object);
      // Refused while there are images: what is left stays for a look.
      await cluster.rbd(['namespace', 'remove', spec]).catch(() => undefined);
    },
  };
}

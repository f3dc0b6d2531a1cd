import t from 'tap';
import { ConnectionPool } from '../../src/ceph/connection-pool.js';
import { backendContract } from '../backend/backend.contract.js';
import { context, silentLog } from '../ceph/contract-subject.js';
import { adminAccess } from '../ceph/real-subject.js';
import { blockCapability, mountCapability } from '../harness/requests.js';
import { pathOf } from './group.js';
import { Site } from './site.js';

t.setTimeout(240_000);

// A group of its own makes the list quiet: the driver lists what is in its group, whatever other tests do.
const site = await Site.open(t, {
  args: ['--backends', 'cephfs'],
  configFor: (cluster) =>
    `nodes: [node-a, node-b]\nclusters:\n  - id: default\n    cephConf: ${cluster.confPath}\n    cephfs:\n      group: contract\n`,
});

// Another data pool for a volume's new files.
const other = `${site.pool}-layout`;
await site.cluster.ceph(['osd', 'pool', 'create', other, '8']);
await site.cluster.ceph(['fs', 'add_data_pool', site.cluster.fsName, other]);
t.teardown(async () => {
  await site.cluster.ceph(['fs', 'rm_data_pool', site.cluster.fsName, other]);
  await site.cluster.deletePool(other);
});

const client = new ConnectionPool({ log: silentLog });
t.teardown(async () => client.close());

/** What the MDS has, asked by another client. */
async function attributesOf(volumeId: string): Promise<Record<string, string>> {
  const connection = await client.connect(context(), adminAccess(site.cluster));
  const fs = await connection.fileSystem(context(), site.cluster.fsName, ['/']);
  const names = ['ceph.quota.max_files', 'ceph.dir.layout.pool'];
  const found = await fs.attributes(context(), pathOf(volumeId), names);
  const [maxFiles = '0', layoutPool] = names.map((name) => found.get(name));
  return { ...(maxFiles === '0' ? {} : { maxFiles }), ...(layoutPool === undefined ? {} : { layoutPool }) };
}

const mib = 1n << 20n;
const notForDirectories = 'a CephFS directory is no block device: the RBD block variant runs this one';

await backendContract(t, site, {
  name: 'cephfs mount',
  parameters: { backend: 'cephfs' },
  otherParameters: { backend: 'cephfs', maxFiles: '1000' },
  sizeBytes: 64n * mib,
  mutable: {
    first: { maxFiles: '500', layoutPool: 'cephfs_data' },
    second: { layoutPool: other },
    impossible: [
      [{ maxFile: '1' }, /mutable parameter "maxFile" is unknown: did you mean "maxFiles"/],
      [{ maxFiles: 'many' }, /mutable parameter maxFiles is "many"/],
      [{ layoutPool: site.pool, maxFiles: '7' }, /layoutPool: pool ".*" is no data pool .* which has .*cephfs_data/],
      [{ layoutPool: 'a/b' }, /mutable parameter layoutPool is "a\/b"/],
    ],
    read: attributesOf,
  },
  capabilities: {
    access: 'mount',
    of: (mode) => mountCapability(mode, ''),
    impossible: blockCapability('SINGLE_NODE_WRITER'),
  },
  skips: {
    'a block volume that is staged for writing is not published read-only': notForDirectories,
  },
});

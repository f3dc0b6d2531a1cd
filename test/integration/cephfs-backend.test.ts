import t from 'tap';
import { backendContract } from '../backend/backend.contract.js';
import { blockCapability, mountCapability } from '../harness/requests.js';
import { Site } from './site.js';

t.setTimeout(240_000);

// A group of its own makes the list quiet: the driver lists what is in its group, whatever other tests do.
const site = await Site.open(t, {
  args: ['--backends', 'cephfs'],
  configFor: (cluster) =>
    `nodes: [node-a, node-b]\nclusters:\n  - id: default\n    cephConf: ${cluster.confPath}\n    cephfs:\n      group: contract\n`,
});

const mib = 1n << 20n;
const notForDirectories = 'a CephFS directory is no block device: the RBD block variant runs this one';

await backendContract(t, site, {
  name: 'cephfs mount',
  parameters: { backend: 'cephfs' },
  otherParameters: { backend: 'cephfs', maxFiles: '1000' },
  sizeBytes: 64n * mib,
  capabilities: {
    access: 'mount',
    of: (mode) => mountCapability(mode, ''),
    impossible: blockCapability('SINGLE_NODE_WRITER'),
  },
  skips: {
    'a block volume that is staged for writing is not published read-only': notForDirectories,
  },
});

import { readFileSync } from 'node:fs';
import t from 'tap';
import { type BackendUnderTest, backendContract } from '../backend/backend.contract.js';
import { attachmentChecks } from '../backend/attachment.contract.js';
import { snapshotChecks } from '../backend/snapshot.contract.js';
import { blockCapability, mountCapability } from '../harness/requests.js';
import { Site } from './site.js';

t.setTimeout(400_000);

// A namespace of its own makes the list quiet: the driver lists what is in its namespace, whatever other tests do.
const namespace = 'contract';
const site = await Site.open(t, {
  configFor: (cluster) =>
    `nodes: [node-a, node-b]\nclusters:\n  - id: default\n    cephConf: ${cluster.confPath}\n    rbd:\n      namespace: ${namespace}\n`,
});
await site.cluster.rbd(['namespace', 'create', `${site.pool}/${namespace}`]);

const mib = 1n << 20n;
const parameters = { pool: site.pool };
const common = { parameters, otherParameters: { ...parameters, objectSize: '8388608' } };
const blockOnly = 'a file system keeps a read-only publish read-only: the block variant runs this one';
const mountOnly = 'a bind of a device node does not stop writes to the device: the mount variants run this one';
const readOnlyBlock = 'a block volume that is staged for writing is not published read-only';

const ext4Online = {
  'a published volume grows under its application':
    'this process has no CAP_SYS_RESOURCE, which the kernel wants for growing a mounted ext4; xfs and block run this one',
};

/** capabilities(7): bit 24 of the effective set. */
function hasSysResource(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return (BigInt(`0x${effective}`) & (1n << 24n)) !== 0n;
}

/** Each takes a second of the monitors'. */
const snapshotsOnce = Object.fromEntries(
  Object.keys(snapshotChecks).map((title) => [
    title,
    "what a snapshot is doesn't depend on what is in the image: the ext4 variant runs this one",
  ]),
);

const attachmentsOnce = Object.fromEntries(
  Object.keys(attachmentChecks).map((title) => [
    title,
    "how an image is attached doesn't depend on the file system in it: the ext4 variant runs this one",
  ]),
);

function mounted(fsType: string, sizeBytes: bigint): BackendUnderTest {
  return {
    name: `rbd mount ${fsType}`,
    ...common,
    sizeBytes,
    capabilities: {
      access: 'mount',
      of: (mode) => mountCapability(mode, fsType),
      impossible: mountCapability('MULTI_NODE_MULTI_WRITER', fsType),
    },
    skips: {
      [readOnlyBlock]: blockOnly,
      ...(fsType === 'ext4' ? {} : { ...snapshotsOnce, ...attachmentsOnce }),
      ...(fsType === 'ext4' && !hasSysResource() ? ext4Online : {}),
    },
  };
}

await backendContract(t, site, mounted('ext4', 64n * mib));
// mkfs.xfs refuses less than 300 MiB.
await backendContract(t, site, mounted('xfs', 304n * mib));
await backendContract(t, site, {
  name: 'rbd block',
  ...common,
  sizeBytes: 16n * mib,
  capabilities: {
    access: 'block',
    of: blockCapability,
    impossible: mountCapability('SINGLE_NODE_WRITER', 'zfs'),
  },
  skips: {
    ...snapshotsOnce,
    'a read-only publish of a mounted volume refuses writes with EROFS, and a writable one beside it does not':
      mountOnly,
    'the same target of a mounted volume, read-only this time, is ALREADY_EXISTS': mountOnly,
  },
});

import { readFileSync } from 'node:fs';
import t from 'tap';
import { type BackendUnderTest, backendContract } from '../backend/backend.contract.js';
import { attachmentChecks } from '../backend/attachment.contract.js';
import { modifyChecks } from '../backend/modify.contract.js';
import { snapshotChecks } from '../backend/snapshot.contract.js';
import { blockCapability, mountCapability } from '../harness/requests.js';
import { groupYaml } from './group.js';
import { Site } from './site.js';

t.setTimeout(400_000);

// A namespace and a group of its own make the list quiet: the driver lists what is in them, whatever other tests do.
const namespace = 'contract';
const site = await Site.open(t, {
  configFor: (cluster, pool) =>
    `nodes: [node-a, node-b]\nclusters:\n  - id: default\n    cephConf: ${cluster.confPath}\n    rbd:\n      namespace: ${namespace}\n${groupYaml(pool)}`,
});
await site.cluster.rbd(['namespace', 'create', `${site.pool}/${namespace}`]);

const mib = 1n << 20n;
const parameters = { pool: site.pool };

/** What librbd will go by: the image's metadata, as the rbd command shows it. */
async function limitsOf(volumeId: string): Promise<Record<string, string>> {
  const spec = `${site.pool}/${namespace}/${volumeId.split(':').at(-1) ?? ''}`;
  const output = await site.cluster.rbd(['image-meta', 'list', spec, '--format', 'json']);
  const metadata = JSON.parse(output) as Record<string, string>;
  const limits = Object.entries(metadata).filter(([key]) => key.startsWith('conf_rbd_'));
  return Object.fromEntries(limits.map(([key, value]) => [camelCase(key.slice('conf_rbd_'.length)), value]));
}

function camelCase(name: string): string {
  return name.replaceAll(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}

const common = {
  parameters,
  otherParameters: { ...parameters, objectSize: '8388608' },
  mutable: {
    first: { qosIopsLimit: '1000', qosReadBpsLimit: '100000000', qosReadBpsBurst: '200000000' },
    second: { qosIopsLimit: '2000', qosWriteBpsLimit: '0' },
    impossible: [
      [{ qosIopsLimits: '1' }, /mutable parameter "qosIopsLimits" is unknown: did you mean "qosIopsLimit"/],
      [{ rbd_qos_bps_limit: '1' }, /"rbd_qos_bps_limit" is unknown: did you mean "qosBpsLimit"/],
      [{ pool: 'other' }, /mutable parameter "pool" is unknown/],
      [{ qosBpsLimit: '-1' }, /mutable parameter qosBpsLimit is "-1"/],
      [{ qosReadBpsLimit: '50', qosReadBpsBurst: '20' }, /qosReadBpsBurst would be 20 and qosReadBpsLimit 50/],
    ] as const,
    read: limitsOf,
  },
};
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

/** Each snapshot takes a second of the monitors'. */
const onceAlone = Object.fromEntries(
  [...Object.keys(snapshotChecks), ...Object.keys(modifyChecks)].map((title) => [
    title,
    "what a snapshot or a limit is doesn't depend on what is in the image: the ext4 variant runs this one",
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
      ...(fsType === 'ext4' ? {} : { ...onceAlone, ...attachmentsOnce }),
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
    ...onceAlone,
    'a read-only publish of a mounted volume refuses writes with EROFS, and a writable one beside it does not':
      mountOnly,
    'the same target of a mounted volume, read-only this time, is ALREADY_EXISTS': mountOnly,
  },
});

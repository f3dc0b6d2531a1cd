import t from 'tap';
import type { Clusters } from '../../../src/ceph/clusters.js';
import type { ImageHeader } from '../../../src/ceph/client.js';
import type { StageInput } from '../../../src/backend/backend.js';
import type { RbdVolumeId } from '../../../src/domain/volume-id.js';
import type { ImagePools } from '../../../src/backend/rbd/image-pools.js';
import { mapImage } from '../../../src/backend/rbd/map-image.js';
import type { Mapper, MapperKind, Mapping } from '../../../src/backend/rbd/mapper.js';
import { testContext } from '../../platform/test-context.js';

/** pino's number for it. */
const warning = 40;
const id = { backend: 'rbd', clusterId: 'a', pool: 'p', namespace: '', image: 'i' } as const;

function poolsWith(metadata: Record<string, string>): ImagePools {
  const header = async (_ctx: unknown, _name: string, keys: readonly string[]): Promise<ImageHeader> =>
    Promise.resolve({
      id: '1',
      sizeBytes: 1n,
      features: 1n,
      hasSnapshots: false,
      metadata: new Map(Object.entries(metadata).filter(([key]) => keys.includes(key))),
    });
  const images = { header, headerById: header, isWatched: async () => Promise.resolve(false) };
  const opened = { access: { user: 'u' }, connection: { monitors: 'm' }, pool: { images } };
  return { open: async () => Promise.resolve(opened) } as unknown as ImagePools;
}

function fakeMapper(kind: MapperKind, mapped: readonly Mapping[] = [], unmapped: string[] = []): Mapper {
  const mapper: Partial<Mapper> = {
    kind,
    objection: async () => Promise.resolve(undefined),
    find: async () => Promise.resolve([...mapped]),
    unmap: async () => {
      unmapped.push(...mapped.map(({ device }) => device));
      return Promise.resolve();
    },
    map: async () => Promise.resolve({ device: '/dev/x', readOnly: false }),
  };
  return mapper as Mapper;
}

const input: StageInput<RbdVolumeId> = {
  id,
  stagingPath: '/s',
  capability: { mode: 'SINGLE_NODE_READER_ONLY', access: { type: 'block' } },
  context: {},
  attached: { required: false, readOnly: false, fencedClients: [] },
  credentials: undefined,
};
const clusters = { find: () => undefined } as unknown as Clusters;

t.test('a mapping is used again unless it shows another image that had the name before', async (t) => {
  for (const [imageId, device] of [
    ['1', '/dev/rbd7'],
    [undefined, '/dev/rbd7'],
    ['2', '/dev/x'],
  ] as const) {
    const unmapped: string[] = [];
    const mapping = { device: '/dev/rbd7', readOnly: true, ...(imageId === undefined ? {} : { imageId }) };
    const mappers = [fakeMapper('krbd', [mapping], unmapped)];
    const target = await mapImage(testContext(), { pools: poolsWith({}), mappers, clusters, nodeId: 'n' }, input);
    t.equal(target.device, device);
    t.strictSame(unmapped, [], 'whoever has mapped it may need it');
  }
});

async function loggedBy(kind: MapperKind, metadata: Record<string, string>): Promise<string> {
  const ctx = testContext();
  await mapImage(ctx, { pools: poolsWith(metadata), mappers: [fakeMapper(kind)], clusters, nodeId: 'node-1' }, input);
  return ctx.lines
    .filter(({ level }) => level === warning)
    .map((line) => JSON.stringify(line))
    .join('\n');
}

t.test('limits that the kernel will ignore are told in the log, by name, and nobody is stopped', async (t) => {
  const limited = { conf_rbd_qos_iops_limit: '100', conf_rbd_qos_bps_limit: '0' };
  t.match(await loggedBy('krbd', limited), /"limits":\["qosIopsLimit"\].*krbd ignores/);
});

t.test('nothing is said where limits are kept, or where there are none', async (t) => {
  const limited = { conf_rbd_qos_iops_limit: '100' };
  for (const kind of ['nbd', 'userspace'] as const) t.equal(await loggedBy(kind, limited), '');
  t.equal(await loggedBy('krbd', { conf_rbd_qos_iops_limit: '0' }), '');
  t.equal(await loggedBy('krbd', {}), '');
});

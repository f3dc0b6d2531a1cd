import { formatVolumeId } from '../../src/domain/volume-id.js';
import { defaultVolumeNamePrefix, objectNameFor } from '../../src/backend/object-name.js';
import type { csi } from '../../src/csi/gen/csi.js';
import type { TestCluster } from '../harness/cluster.js';
import { mountCapability } from '../harness/requests.js';

/** What requests for volumes of one kind say. */
export interface VolumeKind {
  readonly name: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly capability: csi.v1.VolumeCapability;
  /** The name of the image or directory that a CO's volume name stands for. */
  objectOf(name: string): string;
  /** What CreateVolume must answer, now and ever after: it follows from the name alone. */
  idOf(name: string): string;
  /** Whether a client that died keeps DeleteVolume away for a while. */
  readonly hasWatchers: boolean;
  /** What the volume's first user writes beside the marker. */
  furnish?(targetPath: string): Promise<void>;
}

/** Where volumes of one kind lie, as an administrator sees it. */
export interface Ground {
  readonly kind: VolumeKind;
  /** Names of the images or directories that look like volumes. */
  objects(): Promise<ReadonlySet<string>>;
  /** Processes that serve this volume's mounts; undefined where that isn't looked at. */
  servers?(volumeId: string): Promise<number>;
  /** What is wrong that no single volume tells. */
  problems(): Promise<string[]>;
  /** What is left of these volumes when all have been deleted, the trash included; [] is what should be. */
  remains(names: readonly string[]): Promise<string[]>;
  close(): Promise<void>;
}

/** Images in the cluster's pool for RBD. */
export function rbdGround(cluster: TestCluster): Ground {
  const pool = cluster.rbdPool;
  const objectOf = (name: string) => objectNameFor(name, defaultVolumeNamePrefix);
  const lines = async (args: string[]) => (await cluster.rbd(args)).split('\n');
  return {
    kind: {
      name: 'rbd',
      parameters: { pool },
      capability: mountCapability('SINGLE_NODE_MULTI_WRITER'),
      hasWatchers: true,
      objectOf,
      idOf: (name) =>
        formatVolumeId({ backend: 'rbd', clusterId: 'default', pool, namespace: '', image: objectOf(name) }),
    },
    objects: async () => new Set(await lines(['ls', pool])),
    problems: async () => Promise.resolve([]),
    remains: async (names) => {
      const seen = [...(await lines(['ls', pool])), ...(await lines(['trash', 'ls', '--all', pool]))];
      return seen
        .filter((line) => names.some((name) => line.includes(objectOf(name))))
        .map((line) => `image in the pool: ${line}`);
    },
    close: async () => Promise.resolve(),
  };
}

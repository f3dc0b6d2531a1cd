import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeMounter } from 'mount-utils-ts';
import type { NodeBackend, StagedVolume } from '../../src/backend/backend.js';
import { formatVolumeId, type VolumeId } from '../../src/domain/volume-id.js';
import { nodeService } from '../../src/node/node-service.js';
import { KeyedLock } from '../../src/platform/keyed-lock.js';

export const id: VolumeId = { backend: 'rbd', clusterId: 'a', pool: 'p', namespace: '', image: 'i' };

/** A backend in memory: what is staged where. `beforeWork` lets a test hold stage and unstage. */
export class FakeNode implements NodeBackend {
  readonly kind = 'rbd';
  readonly calls: string[] = [];
  readonly stagedAt = new Map<string, StagedVolume>();
  beforeWork: () => Promise<void> = async () => Promise.resolve();

  stage: NodeBackend['stage'] = async (_ctx, input) => {
    this.calls.push(`stage ${input.stagingPath}`);
    await this.beforeWork();
  };

  unstage: NodeBackend['unstage'] = async (_ctx, volume, stagingPath) => {
    this.calls.push(`unstage ${formatVolumeId(volume)} ${stagingPath}`);
    await this.beforeWork();
  };

  served = true;
  isServed: NodeBackend['isServed'] = async () => Promise.resolve(this.served);

  /** Where the volume is mounted. */
  mounts: string[] = [];
  mountsOf: NodeBackend['mountsOf'] = async () => Promise.resolve(this.mounts);

  inodes: NonNullable<NodeBackend['inodes']> = async () => Promise.resolve(undefined);

  staged: NodeBackend['staged'] = async (_ctx, _id, stagingPath) => Promise.resolve(this.stagedAt.get(stagingPath));
}

const runDirs = mkdtempSync(join(tmpdir(), 'fake-node-'));
let services = 0;
process.once('exit', () => {
  rmSync(runDirs, { recursive: true, force: true });
});

/** A service over a fake backend and a mount table in memory. */
export function fakeService() {
  const backend = new FakeNode();
  const mounter = new FakeMounter();
  const service = nodeService({
    backends: new Map([['rbd', backend]]),
    lock: new KeyedLock(),
    mounter,
    storageHealth: async () => Promise.resolve([]),
    topology: async () => Promise.resolve(undefined),
    runDir: join(runDirs, String(++services)),
  });
  return { backend, mounter, service };
}

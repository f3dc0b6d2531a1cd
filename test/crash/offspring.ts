import { csi } from '../../src/csi/gen/csi.js';
import { snapshotNameFor } from '../../src/backend/object-name.js';
import { formatSnapshotId } from '../../src/domain/snapshot-id.js';
import { parseVolumeId } from '../../src/domain/volume-id.js';
import type { VolumeKind } from '../ground/ground.js';
import { call, type Driver } from '../harness/driver.js';
import { createRequest, deleteRequest } from '../harness/requests.js';

export type OffspringOperation =
  | 'CreateSnapshot'
  | 'DeleteSnapshot'
  | 'CreateVolume of a snapshot'
  | 'CreateVolume of a volume'
  | 'DeleteVolume of a copy'
  | 'ControllerExpandVolume';

export const volumeBytes = 64n << 20n;
const stepBytes = 16n << 20n;
/** More than a volume ever grows to here. */
const copyBytes = 256n << 20n;

/** What may be made of a volume while it lives, and outlives it: one snapshot, and one copy of the two. */
export class Offspring {
  hasSnapshot = false;
  hasCopy = false;
  #bytes = volumeBytes;
  readonly #kind: VolumeKind;
  readonly #volumeId: string;
  readonly #snapshotName: string;
  readonly #copyName: string;

  constructor(name: string, kind: VolumeKind) {
    this.#kind = kind;
    this.#volumeId = kind.idOf(name);
    this.#snapshotName = `${name}-snapshot`;
    this.#copyName = `${name}-copy`;
  }

  /** The copy's image or directory. */
  get object(): string {
    return this.#kind.objectOf(this.#copyName);
  }

  /** @param isThere whether the volume itself is */
  possible(isThere: boolean): OffspringOperation[] {
    const operations: OffspringOperation[] = [];
    if (this.hasSnapshot) operations.push('DeleteSnapshot');
    else if (isThere) operations.push('CreateSnapshot');
    if (this.hasCopy) operations.push('DeleteVolume of a copy');
    else if (this.hasSnapshot) operations.push('CreateVolume of a snapshot');
    else if (isThere) operations.push('CreateVolume of a volume');
    if (isThere && this.#bytes < copyBytes) operations.push('ControllerExpandVolume');
    return operations;
  }

  async ask(driver: Driver, operation: OffspringOperation): Promise<void> {
    const { controller } = driver;
    switch (operation) {
      case 'CreateSnapshot': {
        const request = new csi.v1.CreateSnapshotRequest({
          name: this.#snapshotName,
          source_volume_id: this.#volumeId,
        });
        const reply = await call<csi.v1.CreateSnapshotResponse>((done) => controller.CreateSnapshot(request, done));
        this.#expect(operation, reply.snapshot?.snapshot_id, this.#snapshotId);
        return;
      }
      case 'DeleteSnapshot': {
        const request = new csi.v1.DeleteSnapshotRequest({ snapshot_id: this.#snapshotId });
        await call((done) => controller.DeleteSnapshot(request, done));
        return;
      }
      case 'CreateVolume of a snapshot':
      case 'CreateVolume of a volume': {
        const isOfSnapshot = operation === 'CreateVolume of a snapshot';
        const { parameters, capability } = this.#kind;
        const request = createRequest(this.#copyName, {
          parameters,
          requiredBytes: copyBytes,
          capabilities: [capability],
          source: isOfSnapshot ? { snapshot: this.#snapshotId } : { volume: this.#volumeId },
        });
        const reply = await call<csi.v1.CreateVolumeResponse>((done) => controller.CreateVolume(request, done));
        this.#expect(operation, reply.volume?.volume_id, this.#kind.idOf(this.#copyName));
        return;
      }
      case 'DeleteVolume of a copy':
        await call((done) => controller.DeleteVolume(deleteRequest(this.#kind.idOf(this.#copyName)), done));
        return;
      case 'ControllerExpandVolume': {
        const required_bytes = (this.#bytes + stepBytes).toString();
        const request = new csi.v1.ControllerExpandVolumeRequest({
          volume_id: this.#volumeId,
          capacity_range: new csi.v1.CapacityRange({ required_bytes }),
        });
        const reply = await call<csi.v1.ControllerExpandVolumeResponse>((done) =>
          controller.ControllerExpandVolume(request, done),
        );
        this.#expect(operation, reply.capacity_bytes, required_bytes);
      }
    }
  }

  /** It has been answered. */
  done(operation: OffspringOperation): void {
    if (operation === 'CreateSnapshot') this.hasSnapshot = true;
    if (operation === 'DeleteSnapshot') this.hasSnapshot = false;
    if (operation.startsWith('CreateVolume')) this.hasCopy = true;
    if (operation === 'DeleteVolume of a copy') this.hasCopy = false;
    if (operation === 'ControllerExpandVolume') this.#bytes += stepBytes;
  }

  /** The volume is gone; the next of its name begins small. */
  orphaned(): void {
    this.#bytes = volumeBytes;
  }

  /** The way back to nothing. */
  get last(): OffspringOperation | undefined {
    if (this.hasCopy) return 'DeleteVolume of a copy';
    return this.hasSnapshot ? 'DeleteSnapshot' : undefined;
  }

  get #snapshotId(): string {
    const source = parseVolumeId(this.#volumeId);
    if (source === undefined) throw new Error(`${this.#volumeId} is no volume id`);
    return formatSnapshotId({ source, name: snapshotNameFor(this.#snapshotName) });
  }

  #expect(operation: string, found: string | undefined, wanted: string): void {
    if (found !== wanted) throw new Error(`${operation} answered ${found ?? 'nothing'}, not ${wanted}`);
  }
}

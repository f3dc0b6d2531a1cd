import { csi } from '../src/csi/gen/csi.js';
import { call, type Driver } from '../test/harness/driver.js';
import { type CreateOptions, createRequest, deleteRequest } from '../test/harness/requests.js';
import type { Subject } from './subject.js';

/** The Controller's RPCs for volumes and snapshots of one kind, by the names that the bench gives them. */
export class Volumes {
  readonly #driver: Driver;
  readonly #create: Subject['create'];
  readonly #ids = new Map<string, string>();
  readonly #snapshots = new Map<string, string>();

  constructor(driver: Driver, { create }: Subject) {
    this.#driver = driver;
    this.#create = create;
  }

  /** @returns the volume's id. */
  async create(name: string): Promise<string> {
    return this.#make(name, {});
  }

  async restore(snapshot: string, name: string): Promise<void> {
    await this.#make(name, { source: { snapshot: this.#snapshots.get(snapshot) ?? '' } });
  }

  async clone(volume: string, name: string): Promise<void> {
    await this.#make(name, { source: { volume: this.#ids.get(volume) ?? '' } });
  }

  async delete(name: string): Promise<void> {
    const request = deleteRequest(this.#ids.get(name) ?? '');
    await call((done) => this.#driver.controller.DeleteVolume(request, done));
  }

  async grow(name: string, bytes: bigint): Promise<void> {
    const request = new csi.v1.ControllerExpandVolumeRequest({
      volume_id: this.#ids.get(name) ?? '',
      capacity_range: new csi.v1.CapacityRange({ required_bytes: bytes.toString() }),
    });
    await call((done) => this.#driver.controller.ControllerExpandVolume(request, done));
  }

  async snapshot(volume: string, name: string): Promise<void> {
    const request = new csi.v1.CreateSnapshotRequest({ name, source_volume_id: this.#ids.get(volume) ?? '' });
    const reply = await call<csi.v1.CreateSnapshotResponse>((done) =>
      this.#driver.controller.CreateSnapshot(request, done),
    );
    this.#snapshots.set(name, reply.snapshot?.snapshot_id ?? '');
  }

  async deleteSnapshot(name: string): Promise<void> {
    const request = new csi.v1.DeleteSnapshotRequest({ snapshot_id: this.#snapshots.get(name) ?? '' });
    await call((done) => this.#driver.controller.DeleteSnapshot(request, done));
  }

  async #make(name: string, more: Pick<CreateOptions, 'source'>): Promise<string> {
    const request = createRequest(name, { ...this.#create, ...more });
    const reply = await call<csi.v1.CreateVolumeResponse>((done) =>
      this.#driver.controller.CreateVolume(request, done),
    );
    const id = reply.volume?.volume_id ?? '';
    this.#ids.set(name, id);
    return id;
  }
}

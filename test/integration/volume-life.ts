import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import type { Driver } from '../harness/driver.js';
import type { CreateOptions, NodeOptions } from '../harness/requests.js';
import type { Snapshot, Volume } from './answers.js';
import { Rpc } from './rpc.js';
import type { Site } from './site.js';

/** Remembers what a test has made, so that its end takes all of it away again. */
export class VolumeLife {
  readonly rpc: Rpc;
  readonly #site: Site;
  readonly #volumes = new Set<string>();
  readonly #snapshots = new Set<string>();
  readonly #staged = new Map<string, string>();
  readonly #published = new Map<string, string>();

  constructor(site: Site, driver: () => Driver, deadlineMs?: number) {
    this.#site = site;
    this.rpc = new Rpc(driver, deadlineMs);
  }

  /** @param options.name a new one when left out */
  async create(options: CreateOptions & { name?: string } = {}): Promise<Volume> {
    const { name = `pvc-${randomUUID()}`, ...rest } = options;
    const volume = await this.rpc.create(name, rest);
    this.#volumes.add(volume.id);
    return volume;
  }

  /** @param name a new one when left out */
  async snapshot(volumeId: string, name = `snapshot-${randomUUID()}`): Promise<Snapshot> {
    const snapshot = await this.rpc.snapshot(name, volumeId);
    this.#snapshots.add(snapshot.id);
    return snapshot;
  }

  /** A volume that another way than create() has made is deleted too. */
  owns(volumeId: string): void {
    this.#volumes.add(volumeId);
  }

  /** @returns the staging path, whose directory is made as kubelet makes it. */
  async stage(volumeId: string, options: NodeOptions & { path?: string } = {}): Promise<string> {
    const { path = this.#site.path('stage'), ...rest } = options;
    await mkdir(path, { recursive: true });
    this.#staged.set(path, volumeId);
    try {
      await this.rpc.stage(volumeId, path, rest);
    } catch (error) {
      // Nothing is left of it, or the site finds it; the volume may be staged at another path meanwhile.
      this.#staged.delete(path);
      throw error;
    }
    return path;
  }

  /** @returns the target path. */
  async publish(volumeId: string, stagingPath: string, options: NodeOptions & { path?: string } = {}): Promise<string> {
    const { path = this.#site.path('target'), ...rest } = options;
    this.#published.set(path, volumeId);
    await this.rpc.publish(volumeId, stagingPath, path, rest);
    return path;
  }

  /** Staged and published in the same way. */
  async attach(volumeId: string, options: NodeOptions = {}): Promise<{ stagingPath: string; targetPath: string }> {
    const stagingPath = await this.stage(volumeId, options);
    const targetPath = await this.publish(volumeId, stagingPath, options);
    return { stagingPath, targetPath };
  }

  async unpublish(volumeId: string, targetPath: string): Promise<void> {
    await this.rpc.unpublish(volumeId, targetPath);
    this.#published.delete(targetPath);
  }

  async unstage(volumeId: string, stagingPath: string): Promise<void> {
    await this.rpc.unstage(volumeId, stagingPath);
    this.#staged.delete(stagingPath);
  }

  async detach(volumeId: string, paths: { stagingPath: string; targetPath: string }): Promise<void> {
    await this.unpublish(volumeId, paths.targetPath);
    await this.unstage(volumeId, paths.stagingPath);
  }

  async delete(volumeId: string): Promise<void> {
    await this.rpc.delete(volumeId);
    this.#volumes.delete(volumeId);
  }

  /** A file in the site's directory. */
  async file(name: string, content: string | Uint8Array): Promise<string> {
    const path = this.#site.path(name);
    await writeFile(path, content);
    return path;
  }

  /** Takes everything away. @throws Error when that fails, which fails the test. */
  async end(): Promise<void> {
    const ids = new Set([...this.#published.values(), ...this.#staged.values(), ...this.#volumes]);
    await Promise.all([...ids].map(async (id) => this.#endVolume(id)));
    await Promise.all([...this.#snapshots].map(async (id) => this.rpc.deleteSnapshot(id).catch(() => undefined)));
  }

  /** One after the other: the driver refuses a second request for a volume while the first runs. */
  async #endVolume(volumeId: string): Promise<void> {
    const targets = [...this.#published].filter(([, id]) => id === volumeId);
    for (const [path] of targets) await this.rpc.unpublish(volumeId, path);
    const stagings = [...this.#staged].filter(([, id]) => id === volumeId);
    for (const [path] of stagings) await this.rpc.unstage(volumeId, path);
    await this.rpc.detach(volumeId, '').catch(() => undefined);
    // One whose daemon was killed stays in use until Ceph forgets the client; its pool is deleted.
    if (this.#volumes.has(volumeId)) await this.rpc.delete(volumeId).catch(() => undefined);
  }
}

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DeviceNumber } from 'mount-utils-ts';
import type { RbdVolumeId } from '../../domain/volume-id.js';

/** What the kernel shows of its mapped images (Linux, Documentation/ABI/testing/sysfs-bus-rbd). */
export class KrbdTable {
  readonly #devices: string;

  constructor(sysBusRbd: string) {
    this.#devices = join(sysBusRbd, 'devices');
  }

  /** The numbers N of the devices /dev/rbdN that are the image. */
  async indexesOf(id: RbdVolumeId): Promise<string[]> {
    const all = await readdir(this.#devices).catch(() => []);
    const are = await Promise.all(all.map(async (index) => this.isImage(index, id)));
    return all.filter((_index, i) => are[i]);
  }

  async isImage(index: string, id: RbdVolumeId): Promise<boolean> {
    if ((await this.#read(index, 'name')) !== id.image || (await this.#read(index, 'pool')) !== id.pool) return false;
    // Kernels before 4.19 know no namespaces and have no such file; `current_snap` is `-` for the image itself.
    const namespace = (await this.#read(index, 'pool_ns')) ?? '';
    return namespace === id.namespace && ((await this.#read(index, 'current_snap')) ?? '-') === '-';
  }

  /** Of the image's devices the one that was mapped with this name for its key: no other request gave the same. */
  async indexByKey(id: RbdVolumeId, keyName: string): Promise<string | undefined> {
    for (const index of await this.indexesOf(id)) {
      const config = (await this.#read(index, 'config_info')) ?? '';
      if (config.split(/[\s,]/).includes(`key=${keyName}`)) return index;
    }
    return undefined;
  }

  /** The number that the device node must have. */
  async deviceNumber(index: string): Promise<DeviceNumber | undefined> {
    const [major, minor] = await Promise.all([this.#read(index, 'major'), this.#read(index, 'minor')]);
    return major === undefined || minor === undefined ? undefined : { major: Number(major), minor: Number(minor) };
  }

  async #read(index: string, file: string): Promise<string | undefined> {
    return (await readFile(join(this.#devices, index, file), 'utf8').catch(() => undefined))?.trim();
  }
}

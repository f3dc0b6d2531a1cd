import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DeviceNumber } from 'mount-utils-ts';
import { v5 as uuidV5 } from 'uuid';
import { formatVolumeId, type RbdVolumeId } from '../../domain/volume-id.js';

const ours = 'cuttle-volume-';
const marks = '5b1c6a52-6a0b-5a53-9a36-0f6a3f0f5d11';

function markOf(id: RbdVolumeId): string {
  return `${ours}${uuidV5(formatVolumeId(id), marks)}-`;
}

/** What the kernel shows of its mapped images (Linux, Documentation/ABI/testing/sysfs-bus-rbd). */
export class KrbdTable {
  readonly #devices: string;

  constructor(sysBusRbd: string) {
    this.#devices = join(sysBusRbd, 'devices');
  }

  /**
   * A name for the key of one map, which sysfs goes on showing: it tells a volume from the image of the same name in another cluster, and
   * one map from any other.
   */
  static keyName(id: RbdVolumeId): string {
    return `${markOf(id)}${randomUUID()}`;
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
    if (namespace !== id.namespace || ((await this.#read(index, 'current_snap')) ?? '-') !== '-') return false;
    // What others have mapped names no volume.
    const key = await this.#keyOf(index);
    return key?.startsWith(ours) !== true || key.startsWith(markOf(id));
  }

  /** The id of the image that the device shows, whatever image has its name now; undefined where the kernel shows none, as for images of format 1. */
  async imageId(index: string): Promise<string | undefined> {
    const imageId = await this.#read(index, 'image_id');
    return imageId === '' ? undefined : imageId;
  }

  /** Of the image's devices the one that was mapped with this name for its key: no other request gave the same. */
  async indexByKey(id: RbdVolumeId, keyName: string): Promise<string | undefined> {
    for (const index of await this.indexesOf(id)) {
      if ((await this.#keyOf(index)) === keyName) return index;
    }
    return undefined;
  }

  /** The number that the device node must have. */
  async deviceNumber(index: string): Promise<DeviceNumber | undefined> {
    const [major, minor] = await Promise.all([this.#read(index, 'major'), this.#read(index, 'minor')]);
    return major === undefined || minor === undefined ? undefined : { major: Number(major), minor: Number(minor) };
  }

  /** The name of the key that the image was mapped with: `config_info` is what was written to map it. */
  async #keyOf(index: string): Promise<string | undefined> {
    const config = (await this.#read(index, 'config_info')) ?? '';
    return /(?:^|[\s,])key=([^\s,]+)/.exec(config)?.[1];
  }

  async #read(index: string, file: string): Promise<string | undefined> {
    return (await readFile(join(this.#devices, index, file), 'utf8').catch(() => undefined))?.trim();
  }
}

import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type CephfsVolumeId, formatVolumeId } from '../../domain/volume-id.js';
import { shortKey } from '../attachment-record.js';
import { askDaemon } from './admin-socket.js';

/** unix(7): a socket's path has at most 107 bytes. */
const maxPathBytes = 107;
const askTimeoutMs = 2_000;

/**
 * The admin sockets of a node's ceph-fuse daemons. Each has a name of its own: a daemon that was fenced ends late, and must not answer for
 * the one that was started in its place. A daemon that ends removes its own.
 */
export class FuseSockets {
  readonly #directory: string;

  /** @param directory of the driver's own, the same over restarts. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** For a daemon that is about to be started. @returns '' (no socket) where its path would be too long. */
  async create(id: CephfsVolumeId): Promise<string> {
    const path = join(this.#directory, `${prefixOf(id)}${randomBytes(6).toString('hex')}.asok`);
    if (Buffer.byteLength(path) > maxPathBytes) return '';
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    return path;
  }

  /** The address of the volume's daemon that is this client of the cluster. */
  async addressOf(id: CephfsVolumeId, clientId: string): Promise<string | undefined> {
    for (const path of await this.#of(id)) {
      const status = await askDaemon(path, 'status', askTimeoutMs).catch(() => undefined);
      const { id: number, addr_str: address } = (status ?? {}) as { id?: unknown; addr_str?: unknown };
      if (String(number) === clientId && typeof address === 'string') return address;
    }
    return undefined;
  }

  /** Those that daemons which were killed have left. @param isServed whether any daemon of the volume lives */
  async sweep(id: CephfsVolumeId, isServed: boolean): Promise<void> {
    if (isServed) return;
    for (const path of await this.#of(id)) await rm(path, { force: true });
  }

  async #of(id: CephfsVolumeId): Promise<string[]> {
    const names = await readdir(this.#directory).catch(() => []);
    return names.filter((name) => name.startsWith(prefixOf(id))).map((name) => join(this.#directory, name));
  }
}

function prefixOf(id: CephfsVolumeId): string {
  return `${shortKey(formatVolumeId(id))}.`;
}

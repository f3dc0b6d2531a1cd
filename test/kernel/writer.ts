import { createHash, type Hash, randomBytes } from 'node:crypto';
import { type FileHandle, open, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const blockBytes = 64 << 10;
const pauseMs = 100;

/** Writes on and on, each block down to the disk, until it is stopped. */
export class Writer {
  blocks = 0;
  readonly #hash: Hash = createHash('sha256');
  readonly #file: FileHandle;
  #isStopped = false;
  readonly #done: Promise<void>;

  private constructor(file: FileHandle) {
    this.#file = file;
    this.#done = this.#write();
    // Looked at by stop().
    this.#done.catch(() => undefined);
  }

  static async start(path: string): Promise<Writer> {
    return new Writer(await open(path, 'wx'));
  }

  /** @returns the SHA-256 of all that was written. @throws what writing has thrown. */
  async stop(): Promise<string> {
    this.#isStopped = true;
    await this.#done.finally(async () => this.#file.close());
    return this.#hash.digest('hex');
  }

  async #write(): Promise<void> {
    while (!this.#isStopped) {
      const block = randomBytes(blockBytes);
      await this.#file.appendFile(block);
      await this.#file.sync();
      this.#hash.update(block);
      this.blocks += 1;
      await sleep(pauseMs);
    }
  }
}

/** The SHA-256 of a file as its device or cluster has it: nothing is taken from the page cache. @param bytes as of digestOf() */
export async function digestPastCache(path: string, bytes?: number): Promise<string> {
  await writeFile('/proc/sys/vm/drop_caches', '3');
  return digestOf(path, bytes);
}

/** @param bytes how much from the start, all when left out */
export async function digestOf(path: string, bytes?: number): Promise<string> {
  const file = await open(path, 'r');
  const hash = createHash('sha256');
  try {
    const end = bytes === undefined ? {} : { end: bytes - 1 };
    for await (const chunk of file.createReadStream(end)) hash.update(chunk as Buffer);
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}

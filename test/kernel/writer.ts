import { createHash, type Hash, randomBytes } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';

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

/**
 * The SHA-256 of a file as its device or cluster has it: read past the page cache (O_DIRECT, which dd aligns its buffers for).
 * @param bytes how much from the start, all when left out: whole blocks of 64 KiB
 */
export async function digestPastCache(path: string, bytes?: number): Promise<string> {
  const count = bytes === undefined ? [] : [`count=${bytes / blockBytes}`];
  const dd = execa('dd', [`if=${path}`, 'iflag=direct', `bs=${blockBytes}`, ...count], {
    encoding: 'buffer',
    buffer: { stdout: false },
  });
  const hash = createHash('sha256');
  for await (const chunk of dd.iterable({ binary: true })) hash.update(chunk);
  await dd;
  return hash.digest('hex');
}

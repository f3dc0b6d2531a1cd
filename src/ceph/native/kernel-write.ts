import { Worker } from 'node:worker_threads';
import { DriverError } from '../../domain/errors.js';
import type { KernelAnswer, KernelWriter } from '../../platform/kernel.js';

/** What the thread is given: a KernelWrite, and of which type its key is (`ceph`; tests use another). */
export interface ThreadInput {
  readonly file: string;
  readonly text: string;
  readonly key: { readonly type: string; readonly name: string; readonly payload: Uint8Array } | undefined;
}

const thread = new URL('./kernel-write-thread.js', import.meta.url);
const megabytes = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4, stackSizeMb: 1 };

let underWay = 0;

/** Does a thread wait in the kernel? Then exit(3) would wait for it. */
export function isKernelWriteUnderWay(): boolean {
  return underWay > 0;
}

/**
 * A thread of its own for each write. Keys belong to threads in Linux (credentials(7), keyrings(7)): what a thread puts into its own keyring
 * nobody else finds, and it goes with the thread, however that ends.
 */
export function kernelWriter(keyType = 'ceph'): KernelWriter {
  return async ({ file, text, key }) => {
    // Of its own, so that it can be handed over: there is no second copy to wipe.
    const payload = key === undefined ? undefined : Uint8Array.from(key.payload);
    key?.payload.fill(0);
    const input: ThreadInput = {
      file,
      text,
      key: key === undefined || payload === undefined ? undefined : { type: keyType, name: key.name, payload },
    };
    underWay += 1;
    try {
      return await answerOf(
        new Worker(thread, {
          workerData: input,
          transferList: payload === undefined ? [] : [payload.buffer],
          execArgv: [],
          resourceLimits: megabytes,
        }),
      );
    } finally {
      underWay -= 1;
    }
  };
}

/** When the thread has ended, so that its keyring has too. */
async function answerOf(worker: Worker): Promise<KernelAnswer> {
  return new Promise((resolve, reject) => {
    let answer: KernelAnswer | undefined;
    let failure: unknown;
    worker.once('message', (message: KernelAnswer) => {
      answer = message;
    });
    worker.once('error', (error) => {
      failure = error;
    });
    worker.once('exit', () => {
      if (answer !== undefined) resolve(answer);
      else reject(new DriverError('INTERNAL', 'the thread that talks to the kernel ended early', { cause: failure }));
    });
  });
}

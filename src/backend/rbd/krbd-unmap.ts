import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { DriverError } from '../../domain/errors.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { KernelAnswer, KernelWriter } from '../../platform/kernel.js';
import { removeLine } from './add-line.js';
import type { KrbdProgram } from './krbd-program.js';
import type { KrbdTable } from './krbd-table.js';
import { imageSpec } from './rbd-program.js';
import { GivenUp, whileWanted } from './while-wanted.js';

/** udev opens a device for a moment when it was closed: rbd(8) waits for that too. */
const busyTimeoutMs = 2_000;
const busyPollMs = 200;

export interface KrbdUnmapDependencies {
  readonly write: KernelWriter;
  readonly table: KrbdTable;
  readonly program: KrbdProgram;
  readonly sysBusRbd: string;
  readonly timeoutMs: number;
}

type Refusal = Exclude<KernelAnswer, { wrote: true }>;

/** Unmaps devices of the kernel's rbd module. */
export class KrbdUnmap {
  readonly #deps: KrbdUnmapDependencies;

  constructor(deps: KrbdUnmapDependencies) {
    this.#deps = deps;
  }

  /** One that is no longer the image is fine. @throws DriverError FAILED_PRECONDITION when in use, UNAVAILABLE, INTERNAL. */
  async unmap(ctx: CallContext, id: RbdVolumeId, device: string, options: readonly string[]): Promise<void> {
    const index = basename(device).replace('rbd', '');
    const line = removeLine(index, options);
    const refusal = line === undefined ? undefined : await this.#ask(id, index, line);
    if (line !== undefined && refusal?.step !== 'open') {
      if (refusal !== undefined) throw failure(id, device, refusal.errno, `(${getSystemErrorName(-refusal.errno)})`);
      return;
    }
    // An old kernel, or an option that only the program knows.
    const result = await this.#deps.program.unmap(ctx, device, options);
    if (result.exitCode === 0 || !(await this.#deps.table.isImage(index, id))) return;
    const said = `(rbd, exit code ${String(result.exitCode)}): ${result.stderr.trim().slice(-400)}`;
    throw failure(id, device, result.exitCode ?? 0, said);
  }

  /** What has begun must end, whoever asked for it has gone or not: no signal. @returns undefined when it is unmapped. */
  async #ask(id: RbdVolumeId, index: string, text: string): Promise<Refusal | undefined> {
    const { write, table, sysBusRbd, timeoutMs } = this.#deps;
    const file = join(sysBusRbd, 'remove_single_major');
    const end = Date.now() + timeoutMs;
    const busyEnd = Date.now() + busyTimeoutMs;
    for (;;) {
      const answer = await whileWanted(write({ file, text }), timeoutMs).catch((error: unknown) => {
        throw error instanceof GivenUp ? unfinished(id, index) : error;
      });
      if (answer.wrote || !(await table.isImage(index, id))) return undefined;
      // Somebody else is at it, perhaps an earlier request of ours that waits for the cluster.
      const isUnderWay = answer.errno === constants.errno.EINPROGRESS;
      const isBusy = answer.errno === constants.errno.EBUSY;
      if (isUnderWay && Date.now() > end) throw unfinished(id, index);
      if (!isUnderWay && !(isBusy && Date.now() < busyEnd)) return answer;
      await sleep(busyPollMs);
    }
  }
}

function unfinished(id: RbdVolumeId, index: string): DriverError {
  return new DriverError(
    'UNAVAILABLE',
    `the kernel has not ended unmapping /dev/rbd${index} (${imageSpec(id)}): does the cluster answer this node (ceph -s)? The request may be repeated`,
  );
}

function failure(id: RbdVolumeId, device: string, errno: number, said: string): DriverError {
  const isBusy = errno === constants.errno.EBUSY;
  return new DriverError(
    isBusy ? 'FAILED_PRECONDITION' : 'INTERNAL',
    isBusy
      ? `${device} (${imageSpec(id)}) is still open on this node: end what uses it (lsof ${device}), the request may then be repeated`
      : `${device} (${imageSpec(id)}) can't be unmapped ${said}`,
  );
}

import { join } from 'node:path';
import { DriverError } from '../../domain/errors.js';
import { formatVolumeId, type RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import type { KernelAnswer, KernelWriter } from '../../platform/kernel.js';
import type { Secret } from '../../platform/secret.js';
import { addLine } from './add-line.js';
import { KrbdTable } from './krbd-table.js';
import type { MapRequest } from './mapper.js';
import { whileWanted } from './while-wanted.js';

export interface KernelMapsDependencies {
  readonly write: KernelWriter;
  readonly table: KrbdTable;
  readonly sysBusRbd: string;
  readonly timeoutMs: number;
  readonly unmap: (ctx: CallContext, id: RbdVolumeId, device: string) => Promise<void>;
}

/** The device's number, or what the kernel has answered instead. */
type Outcome = { readonly index: string } | Exclude<KernelAnswer, { wrote: true }>;
type MapOutcome = Outcome & { readonly begunBefore: boolean };

interface UnderWay {
  /** What was asked for, less the name of the key. */
  readonly what: string;
  readonly outcome: Promise<Outcome>;
  /** Settled when the entry is gone, too. */
  readonly over: Promise<void>;
  waiting: number;
  /** It has come about when nobody wanted it any more: it is being taken back. */
  unwanted: boolean;
}

/**
 * Maps images by writing to the kernel's rbd bus. A map that hangs (the OSDs don't answer) can't be ended from here: whoever asks for the
 * same again joins it, and one that comes about when nobody waits any more is taken back.
 */
export class KernelMaps {
  readonly #deps: KernelMapsDependencies;
  readonly #underWay = new Map<string, UnderWay>();

  constructor(deps: KernelMapsDependencies) {
    this.#deps = deps;
  }

  /** Then what sysfs shows of the image belongs to that map. */
  isUnderWay(id: RbdVolumeId): boolean {
    return this.#underWay.has(formatVolumeId(id));
  }

  /**
   * @returns begunBefore: by an earlier request, which this one has joined
   * @throws DriverError ABORTED when another map of the image is under way; what whileWanted() throws.
   */
  async map(ctx: CallContext, request: MapRequest, key: Secret): Promise<MapOutcome> {
    const what = addLine(request, '');
    for (;;) {
      ctx.signal.throwIfAborted();
      const earlier = this.#underWay.get(formatVolumeId(request.id));
      const running = earlier ?? this.#start(ctx, request, key);
      if (running.unwanted) {
        await whileWanted(running.over, this.#deps.timeoutMs, ctx.signal);
        continue;
      }
      if (running.what !== what)
        throw new DriverError(
          'ABORTED',
          `an earlier map of ${formatVolumeId(request.id)} with other options still waits in the kernel: repeat the request when it has ended`,
        );
      running.waiting += 1;
      try {
        const outcome = await whileWanted(running.outcome, this.#deps.timeoutMs, ctx.signal);
        return { ...outcome, begunBefore: earlier !== undefined };
      } finally {
        running.waiting -= 1;
      }
    }
  }

  #start(ctx: CallContext, request: MapRequest, key: Secret): UnderWay {
    const name = formatVolumeId(request.id);
    const outcome = this.#add(request, key);
    const over = outcome
      .then(
        async (found) => this.#takeBackUnwanted(ctx, request.id, running, found),
        () => undefined,
      )
      .finally(() => this.#underWay.delete(name));
    const running: UnderWay = {
      what: addLine(request, '') ?? '',
      outcome,
      over,
      waiting: 0,
      unwanted: false,
    };
    this.#underWay.set(name, running);
    return running;
  }

  async #add(request: MapRequest, key: Secret): Promise<Outcome> {
    const { write, table, sysBusRbd } = this.#deps;
    const keyName = KrbdTable.keyName(request.id);
    const answer = await write({
      file: join(sysBusRbd, 'add_single_major'),
      text: addLine(request, keyName) ?? '',
      key: { name: keyName, payload: Buffer.from(key.reveal(), 'base64') },
    });
    if (!answer.wrote) return answer;
    const index = await table.indexByKey(request.id, keyName);
    if (index !== undefined) return { index };
    throw new DriverError(
      'INTERNAL',
      `the kernel has mapped ${formatVolumeId(request.id)}, and shows no device of it below ${sysBusRbd}/devices: repeat the request`,
    );
  }

  async #takeBackUnwanted(ctx: CallContext, id: RbdVolumeId, running: UnderWay, found: Outcome): Promise<void> {
    if (!('index' in found) || running.waiting > 0) return;
    running.unwanted = true;
    const device = `/dev/rbd${found.index}`;
    try {
      await this.#deps.unmap(ctx, id, device);
      ctx.log.warn({ device }, 'an image was mapped after its request had been given up: it is unmapped again');
    } catch (error) {
      // The next request for the volume finds it.
      ctx.log.warn(
        { device, err: error },
        "an image was mapped after its request had been given up and can't be unmapped",
      );
    }
  }
}

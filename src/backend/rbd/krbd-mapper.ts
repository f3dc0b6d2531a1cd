import { access, readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { blockDeviceNumber, type Exec } from 'mount-utils-ts';
import { DriverError } from '../../domain/errors.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { type KernelLog, type KernelLogMark, type KernelWriter, noKernelLog } from '../../platform/kernel.js';
import { keyInKeyrings } from '../keyring.js';
import { addLine } from './add-line.js';
import { featureNames } from './features.js';
import { KernelMaps } from './kernel-maps.js';
import { kernelMapFailure, mapFailure } from './map-failure.js';
import { KrbdProgram, mapTimeoutMs } from './krbd-program.js';
import { KrbdTable } from './krbd-table.js';
import { KrbdUnmap } from './krbd-unmap.js';
import { isReadOnlyDevice, type Mapper, type MapRequest, type Mapping, waitForSize } from './mapper.js';
import { imageSpec } from './rbd-program.js';
import { GivenUp } from './while-wanted.js';

/** Where udev makes device nodes, and not devtmpfs, it takes a moment. */
const deviceNodeTimeoutMs = 3_000;
const deviceNodePollMs = 20;

export interface KrbdMapperDependencies {
  readonly exec: Exec;
  readonly write: KernelWriter;
  readonly kernelLog?: KernelLog;
  /** The kernel's own table: Documentation/ABI/testing/sysfs-bus-rbd. */
  readonly sysBusRbd?: string;
  /** udev's socket. */
  readonly udevControl?: string;
  /** The number of the device node at a path. @throws Error when there is none. */
  readonly deviceNumber?: typeof blockDeviceNumber;
  readonly timeoutMs?: number;
}

/** The kernel's rbd module, asked by way of sysfs, and by the program rbd where that can't be (ADR 0023). */
export class KrbdMapper implements Mapper {
  readonly kind = 'krbd';
  readonly #exec: Exec;
  readonly #sysBusRbd: string;
  readonly #kernelLog: KernelLog;
  readonly #deviceNumber: typeof blockDeviceNumber;
  readonly #program: KrbdProgram;
  readonly #table: KrbdTable;
  readonly #maps: KernelMaps;
  readonly #unmap: KrbdUnmap;

  constructor(deps: KrbdMapperDependencies) {
    this.#exec = deps.exec;
    this.#sysBusRbd = deps.sysBusRbd ?? '/sys/bus/rbd';
    this.#kernelLog = deps.kernelLog ?? noKernelLog;
    this.#deviceNumber = deps.deviceNumber ?? blockDeviceNumber;
    this.#program = new KrbdProgram(deps.exec, deps.udevControl ?? '/run/udev/control');
    this.#table = new KrbdTable(this.#sysBusRbd);
    const shared = {
      write: deps.write,
      table: this.#table,
      sysBusRbd: this.#sysBusRbd,
      timeoutMs: deps.timeoutMs ?? mapTimeoutMs,
    };
    const unmap = new KrbdUnmap({ ...shared, program: this.#program });
    this.#unmap = unmap;
    this.#maps = new KernelMaps({
      ...shared,
      unmap: async (ctx, id, device) => unmap.unmap(ctx, id, device, []),
    });
  }

  async objection(features: bigint): Promise<string | undefined> {
    if (!(await this.#moduleIsThere())) return 'this kernel has no rbd module (modprobe rbd fails)';
    if (!(await this.#takesMaps()) && !(await this.#program.isInstalled()))
      return 'the program rbd is not installed (apt-get install ceph-common)';
    const supported = await this.#supportedFeatures();
    const missing = supported === undefined ? 0n : features & ~supported;
    if (missing === 0n) return undefined;
    return (
      `this node's kernel does not support the image features ${featureNames(missing).join(', ')}: ` +
      `leave them out of imageFeatures in the StorageClass, or for this image: rbd feature disable`
    );
  }

  async find(id: RbdVolumeId): Promise<Mapping[]> {
    // What a map shows that nobody may have asked for any more is not there to be used: map() joins it.
    if (this.#maps.isUnderWay(id)) return [];
    const mappings: Mapping[] = [];
    for (const index of await this.#table.indexesOf(id)) {
      const imageId = await this.#table.imageId(index);
      const readOnly = await isReadOnlyDevice(`/dev/rbd${index}`);
      mappings.push({ device: `/dev/rbd${index}`, readOnly, ...(imageId === undefined ? {} : { imageId }) });
    }
    return mappings;
  }

  async isImage(device: string, id: RbdVolumeId): Promise<boolean> {
    const index = /^rbd([0-9]+)$/.exec(basename(device))?.[1];
    return index !== undefined && this.#table.isImage(index, id);
  }

  async map(ctx: CallContext, request: MapRequest): Promise<Mapping> {
    const since = await this.#kernelLog.mark();
    try {
      return (await this.#mapByKernel(ctx, request, since)) ?? (await this.#mapByProgram(ctx, request, since));
    } finally {
      await since.close();
    }
  }

  /** The kernel watches the image's header and follows it. */
  async refreshSize(ctx: CallContext, _id: RbdVolumeId, device: string, sizeBytes: bigint): Promise<void> {
    await waitForSize(ctx, device, sizeBytes);
  }

  async unmap(ctx: CallContext, id: RbdVolumeId, options: readonly string[]): Promise<void> {
    for (const { device } of await this.find(id)) await this.#unmap.unmap(ctx, id, device, options);
  }

  /** undefined: the kernel can't be asked for this, or not from here. */
  async #mapByKernel(ctx: CallContext, request: MapRequest, since: KernelLogMark): Promise<Mapping | undefined> {
    if (addLine(request, '') === undefined || !(await this.#takesMaps())) return undefined;
    const key = request.key ?? (await keyInKeyrings(request.keyring ?? '', request.user));
    if (key === undefined) return undefined;
    const outcome = await this.#maps.map(ctx, request, key).catch((error: unknown) => {
      if (error instanceof GivenUp) return error;
      throw error;
    });
    if ('index' in outcome) {
      await this.#needDeviceNode(ctx, request, outcome.index);
      const { index, begunBefore } = outcome;
      return { device: `/dev/rbd${index}`, readOnly: request.readOnly, ...(begunBefore ? { begunBefore } : {}) };
    }
    if (!(outcome instanceof Error) && outcome.step === 'key') {
      ctx.log.debug({ errno: outcome.errno }, 'this kernel or container takes no keys: mapping by the program rbd');
      return undefined;
    }
    throw kernelMapFailure(request, outcome, await since.lines());
  }

  async #mapByProgram(ctx: CallContext, request: MapRequest, since: KernelLogMark): Promise<Mapping> {
    const result = await this.#program.map(ctx, request);
    const device = result.stdout.trim();
    if (result.exitCode !== 0 || !/^\/dev\/rbd[0-9]+$/.test(device))
      throw mapFailure('rbd device map', request, result, await since.lines());
    return { device, readOnly: request.readOnly };
  }

  /** The kernel makes the node in devtmpfs; a container whose /dev is another one never sees it. */
  async #needDeviceNode(ctx: CallContext, request: MapRequest, index: string): Promise<void> {
    const path = `/dev/rbd${index}`;
    const wanted = await this.#table.deviceNumber(index);
    const end = Date.now() + deviceNodeTimeoutMs;
    do {
      const found = await this.#deviceNumber(path).catch(() => undefined);
      if (found !== undefined && found.major === wanted?.major && found.minor === wanted.minor) return;
      await sleep(deviceNodePollMs);
    } while (Date.now() < end);
    await this.#unmap.unmap(ctx, request.id, path, []);
    throw new DriverError(
      'FAILED_PRECONDITION',
      `the kernel has mapped image ${imageSpec(request.id)} as ${path}, and there is no such device node here (it is unmapped again): give the driver's container the host's /dev`,
    );
  }

  async #moduleIsThere(): Promise<boolean> {
    if ((await readdir(this.#sysBusRbd).catch(() => [])).length > 0) return true;
    return (await this.#exec('modprobe', ['rbd'], { timeoutMs: 20_000 })).exitCode === 0;
  }

  /** Linux 3.14 and newer. */
  async #takesMaps(): Promise<boolean> {
    return access(join(this.#sysBusRbd, 'add_single_major')).then(
      () => true,
      () => false,
    );
  }

  async #supportedFeatures(): Promise<bigint | undefined> {
    const text = (await readFile(join(this.#sysBusRbd, 'supported_features'), 'utf8').catch(() => '')).trim();
    return /^0x[0-9a-f]+$/i.test(text) ? BigInt(text) : undefined;
  }
}

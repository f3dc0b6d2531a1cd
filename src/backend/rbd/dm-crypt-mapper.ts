import { basename } from 'node:path';
import { v5 as uuidV5 } from 'uuid';
import { DriverError } from '../../domain/errors.js';
import { formatVolumeId, type RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { asDriverError } from '../../platform/mount-failure.js';
import { type Encryption, wrongPassphrase } from './encryption.js';
import { ensureLuksHeader, type LuksHeaderDependencies } from './luks-header.js';
import { type MappedContent, type Mapper, type MapRequest, type Mapping, waitForSize } from './mapper.js';

/** For uuidV5: a device-mapper name has at most 127 bytes, fewer than a volume id. */
const names = '1b3c2f3e-6f0a-5d3b-9a55-3a9d2c5f8e10';
/** Deriving the key takes a second, on a node that is short of processors many. */
const openTimeoutMs = 100_000;

/** What a volume's opened LUKS device is called: it follows from the volume id, so that no state file is needed to find it. */
export function luksName(id: RbdVolumeId): string {
  return `cuttle-${uuidV5(formatVolumeId(id), names)}`;
}

/** A mapper that makes plain devices, with dm-crypt above it for encrypted volumes. What isn't encrypted passes through. */
export class DmCryptMapper implements Mapper {
  readonly #inner: Mapper;
  readonly #deps: LuksHeaderDependencies;

  constructor(inner: Mapper, deps: LuksHeaderDependencies) {
    this.#inner = inner;
    this.#deps = deps;
  }

  get kind(): Mapper['kind'] {
    return this.#inner.kind;
  }

  async objection(features: bigint, content: MappedContent = 'plain'): Promise<string | undefined> {
    const objection = await this.#inner.objection(features);
    if (objection !== undefined || content === 'plain') return objection;
    if (!(await this.#deps.luks.isInstalled()))
      return 'the volume is encrypted and the program cryptsetup is not installed (apt-get install cryptsetup-bin)';
    if (!(await this.#deps.luks.canOpen()))
      return 'the volume is encrypted and this kernel has no dm-crypt (modprobe dm_crypt fails)';
    return undefined;
  }

  /** A device under one that is open is not to be used itself. */
  async find(id: RbdVolumeId): Promise<Mapping[]> {
    const mappings = await this.#inner.find(id);
    if (mappings.length === 0) return mappings;
    const opened = await this.#deps.luks.find(luksName(id));
    return mappings.map((mapping) =>
      opened?.over.includes(basename(mapping.device)) === true
        ? { ...mapping, device: opened.device, readOnly: opened.readOnly, isEncrypted: true }
        : mapping,
    );
  }

  async isImage(device: string, id: RbdVolumeId): Promise<boolean> {
    if ((await this.#deps.luks.nameOf(device)) === luksName(id)) return true;
    return this.#inner.isImage(device, id);
  }

  async map(ctx: CallContext, request: MapRequest): Promise<Mapping> {
    const { encryption, id } = request;
    if (encryption === undefined) return this.#inner.map(ctx, request);
    // One whose lower device has gone would keep the name.
    await this.#close(id);
    const { device, begunBefore } = await this.#inner.map(ctx, request);
    try {
      await ensureLuksHeader(ctx, this.#deps, device, { ...request, encryption });
      const opened = await this.#open(ctx, device, { ...request, encryption });
      return begunBefore === true ? { ...opened, begunBefore } : opened;
    } catch (error) {
      await this.unmap(ctx, id, []);
      throw asDriverError(error);
    }
  }

  async refreshSize(
    ctx: CallContext,
    id: RbdVolumeId,
    device: string,
    sizeBytes: bigint,
    headerBytes = 0n,
  ): Promise<void> {
    const name = luksName(id);
    if ((await this.#deps.luks.nameOf(device)) !== name) {
      await this.#inner.refreshSize(ctx, id, device, sizeBytes + headerBytes);
      return;
    }
    for (const below of await this.#inner.find(id))
      await this.#inner.refreshSize(ctx, id, below.device, sizeBytes + headerBytes);
    try {
      await this.#deps.luks.resize(name, { signal: ctx.signal });
    } catch (error) {
      throw asDriverError(error);
    }
    await waitForSize(ctx, device, sizeBytes);
  }

  async unmap(ctx: CallContext, id: RbdVolumeId, options: readonly string[]): Promise<void> {
    await this.#close(id);
    await this.#inner.unmap(ctx, id, options);
  }

  async #open(ctx: CallContext, device: string, request: MapRequest & { encryption: Encryption }): Promise<Mapping> {
    const { id, readOnly, encryption } = request;
    const { luks } = this.#deps;
    const within = { signal: ctx.signal, timeoutMs: openTimeoutMs };
    if (!(await luks.open(device, luksName(id), encryption.passphrase.reveal(), { readOnly }, within)))
      throw wrongPassphrase(id);
    const opened = await luks.find(luksName(id));
    if (opened === undefined)
      throw new DriverError('INTERNAL', `cryptsetup has opened ${device} and sysfs does not show it: is /sys mounted?`);
    return { device: opened.device, readOnly, isEncrypted: true };
  }

  async #close(id: RbdVolumeId): Promise<void> {
    const name = luksName(id);
    let outcome: 'closed' | 'in-use';
    try {
      outcome = await this.#deps.luks.close(name);
    } catch (error) {
      throw asDriverError(error);
    }
    if (outcome === 'closed') return;
    throw new DriverError(
      'FAILED_PRECONDITION',
      `/dev/mapper/${name} of volume ${formatVolumeId(id)} is still open on this node: end what uses it (lsof /dev/mapper/${name}), the request may then be repeated`,
    );
  }
}

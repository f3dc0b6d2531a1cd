import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  cleanupMountPoint,
  type Luks,
  type MounterLike,
  mountPointOf,
  probePath,
  type ResizeFs,
  type SafeFormatAndMount,
} from 'mount-utils-ts';
import type { CephClient } from '../../ceph/client.js';
import type { Clusters } from '../../ceph/clusters.js';
import { isReaderOnly, type VolumeCapability } from '../../domain/capability.js';
import { DriverError } from '../../domain/errors.js';
import { formatVolumeId, type RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { asDriverError } from '../../platform/mount-failure.js';
import type { ExpandInput, NodeBackend, StagedVolume, StageInput } from '../backend.js';
import { headerBytesIn } from './encryption.js';
import { defaultFileSystem } from './file-systems.js';
import { clientKey } from './image-clients.js';
import { ImagePools } from './image-pools.js';
import { mapImage, type StageTarget } from './map-image.js';
import { isReadOnlyDevice, type Mapper, optionsFor } from './mapper.js';
import { deviceOf, isDeviceNode } from './mounted-device.js';
import { isFenced } from './name-client.js';
import { checkNodeParameters } from './parameters.js';
import { encryptedKey, formattedKey } from './metadata-keys.js';

/** The device of a staged block volume is bound to this file in the staging directory. */
const deviceFile = 'device';
const probeTimeoutMs = 3_000;

export interface RbdNodeDependencies {
  readonly clusters: Clusters;
  readonly ceph: CephClient;
  readonly nodeId: string;
  /** In the order in which `auto` tries them. */
  readonly mappers: readonly Mapper[];
  readonly mounter: MounterLike;
  readonly formatter: SafeFormatAndMount;
  readonly resizeFs: ResizeFs;
  readonly luks: Luks;
}

interface StagedImage extends Omit<StagedVolume, 'works'> {
  readonly device: string;
}

/** RBD images behind the Node service. */
export class RbdNode implements NodeBackend<RbdVolumeId> {
  readonly kind = 'rbd';
  readonly #deps: RbdNodeDependencies;
  readonly #pools: ImagePools;

  constructor(deps: RbdNodeDependencies) {
    this.#deps = deps;
    this.#pools = new ImagePools(deps.clusters, deps.ceph);
  }

  async stage(ctx: CallContext, input: StageInput<RbdVolumeId>): Promise<void> {
    checkNodeParameters(input.context);
    const readOnly = isReaderOnly(input.capability.mode) || input.attached.readOnly;
    if (await this.#alreadyStaged(ctx, input, readOnly)) return;
    const target = await mapImage(ctx, { pools: this.#pools, ...this.#deps }, input);
    try {
      if (input.capability.access.type === 'block') await this.#bindDevice(ctx, target, input.stagingPath);
      else await this.#mountDevice(ctx, target, input, readOnly);
    } catch (error) {
      if (target.mappedNow) await this.#unmap(ctx, input.id);
      throw asDriverError(error);
    }
  }

  async unstage(ctx: CallContext, id: RbdVolumeId, stagingPath: string): Promise<void> {
    const mounts = await this.mountsOf(id);
    const here = mounts.filter((mount) => mount === stagingPath || mount === join(stagingPath, deviceFile));
    const [elsewhere] = mounts.filter((mount) => !here.includes(mount));
    if (elsewhere !== undefined) {
      // Not staged at this path but at another one: that is OK (CSI spec, NodeUnstageVolume).
      if (here.length === 0) return;
      // A bind of a device node doesn't keep the device: the target would show the image that is given its number next.
      throw new DriverError(
        'FAILED_PRECONDITION',
        `volume ${formatVolumeId(id)} is still published at ${elsewhere}: unpublish it there, then unstage it`,
      );
    }
    try {
      for (const mount of here) await this.#unmount(mount);
      // A directory with something else mounted on it is none of ours: it isn't looked into.
      if (mountPointOf(stagingPath, await this.#deps.mounter.list()) === undefined) {
        await cleanupMountPoint(join(stagingPath, deviceFile), this.#deps.mounter, { probeTimeoutMs });
      }
    } catch (error) {
      throw asDriverError(error);
    }
    await this.#unmap(ctx, id);
  }

  async expand(ctx: CallContext, input: ExpandInput<RbdVolumeId>): Promise<bigint> {
    const { id, volumePath } = input;
    const { pool } = await this.#pools.open(ctx, id, input.credentials);
    const header = await pool.images.header(ctx, id.image, [encryptedKey]);
    const headerBytes = headerBytesIn(header.metadata);
    const sizeBytes = header.sizeBytes - headerBytes;
    for (const mapper of this.#deps.mappers) {
      for (const { device } of await mapper.find(id)) await mapper.refreshSize(ctx, id, device, sizeBytes, headerBytes);
    }
    const entry = mountPointOf(volumePath, await this.#deps.mounter.list());
    if (entry === undefined || isDeviceNode(entry)) return sizeBytes;
    try {
      const device = await deviceOf(entry, this.#deps.luks);
      await this.#deps.resizeFs.resize(device, volumePath, { signal: ctx.signal });
    } catch (error) {
      throw asDriverError(error);
    }
    return sizeBytes;
  }

  /** Every place where the volume is mounted, or its device bound; one entry for each layer. */
  async mountsOf(id: RbdVolumeId): Promise<string[]> {
    const table = await this.#deps.mounter.list();
    const own = await Promise.all(
      table.map(async (entry) => this.#isImage(await deviceOf(entry, this.#deps.luks), id)),
    );
    return table.filter((_entry, i) => own[i] === true).map((entry) => entry.mountPoint);
  }

  async isServed(_ctx: CallContext, id: RbdVolumeId): Promise<boolean> {
    return (await this.#mappings(id)).length > 0;
  }

  /** A device whose daemon has died does not work any more: NodeStageVolume makes another. */
  async staged(_ctx: CallContext, id: RbdVolumeId, stagingPath: string): Promise<StagedVolume | undefined> {
    const staged = await this.#atPath(id, stagingPath);
    if (staged === undefined) return undefined;
    const { access, source, readOnly } = staged;
    return { access, source, readOnly, works: await this.#answers(id, staged) };
  }

  async #atPath(id: RbdVolumeId, stagingPath: string): Promise<StagedImage | undefined> {
    const table = await this.#deps.mounter.list();
    const block = mountPointOf(join(stagingPath, deviceFile), table);
    const mount = mountPointOf(stagingPath, table);
    const entry = block ?? mount;
    if (entry === undefined) return undefined;
    const device = await deviceOf(entry, this.#deps.luks);
    if (!(await this.#isImage(device, id))) return undefined;
    const readOnly = await isReadOnlyDevice(device);
    return {
      access: block === undefined ? 'mount' : 'block',
      source: entry.mountPoint,
      device,
      readOnly: readOnly || (block === undefined && entry.mountOptions.includes('ro')),
    };
  }

  /** @throws DriverError when something else is at the path, or the volume is there in another way. */
  async #alreadyStaged(ctx: CallContext, input: StageInput<RbdVolumeId>, readOnly: boolean): Promise<boolean> {
    const { id, stagingPath, capability } = input;
    const staged = await this.#atPath(id, stagingPath);
    if (staged === undefined) {
      await this.#refuseForeignMount(stagingPath);
      return false;
    }
    if (!(await this.#answers(id, staged)) || (await probePath(staged.source, probeTimeoutMs)) !== 'present') {
      ctx.log.warn({ device: staged.device }, 'the staged device no longer answers: staging anew');
      await this.unstage(ctx, id, stagingPath);
      return false;
    }
    if (await this.#isFenced(ctx, input)) {
      ctx.log.warn({ device: staged.device }, "the staged device's client was fenced: staging anew");
      await this.unstage(ctx, id, stagingPath);
      return false;
    }
    if (staged.access === capability.access.type && staged.readOnly === readOnly) return true;
    throw new DriverError(
      'ALREADY_EXISTS',
      `volume ${formatVolumeId(id)} is staged at ${stagingPath} as ${describe(staged.access, staged.readOnly)}, not as ${describe(capability.access.type, readOnly)}: unstage it first`,
    );
  }

  /** The cluster is asked only when this node has been told that clients of it were fenced. */
  async #isFenced(ctx: CallContext, input: StageInput<RbdVolumeId>): Promise<boolean> {
    if (input.attached.fencedClients.length === 0) return false;
    const { nodeId } = this.#deps;
    const { pool } = await this.#pools.open(ctx, input.id, input.credentials);
    const header = await pool.images.header(ctx, input.id.image, [clientKey(nodeId)]);
    return isFenced({ id: input.id, header, pool, nodeId }, input);
  }

  async #answers(id: RbdVolumeId, staged: StagedImage): Promise<boolean> {
    return (await this.#mappings(id)).some((mapping) => mapping.device === staged.device);
  }

  async #refuseForeignMount(stagingPath: string): Promise<void> {
    const foreign = mountPointOf(stagingPath, await this.#deps.mounter.list());
    if (foreign === undefined) return;
    throw new DriverError(
      'FAILED_PRECONDITION',
      `staging_target_path ${stagingPath} has ${foreign.source} (${foreign.fsType}) mounted, which is not this volume: unmount it, or use another path`,
    );
  }

  async #bindDevice(ctx: CallContext, target: StageTarget, stagingPath: string): Promise<void> {
    await mkdir(stagingPath, { recursive: true, mode: 0o750 });
    const file = join(stagingPath, deviceFile);
    await writeFile(file, '', { mode: 0o600, flag: 'a' });
    await this.#deps.mounter.bindMount(target.device, file, {}, { signal: ctx.signal });
  }

  async #mountDevice(
    ctx: CallContext,
    target: StageTarget,
    input: StageInput<RbdVolumeId>,
    readOnly: boolean,
  ): Promise<void> {
    const { access } = input.capability as VolumeCapability & { access: { type: 'mount' } };
    await mkdir(input.stagingPath, { recursive: true, mode: 0o750 });
    const wanted = access.fsType === '' ? defaultFileSystem : access.fsType;
    const { formatted, grown, fsType } = await this.#deps.formatter.formatAndMount(
      {
        device: target.device,
        target: input.stagingPath,
        fsType: wanted,
        wasFormatted: target.formattedAs === wanted,
        mountOptions: access.mountFlags,
        formatOptions: (input.context.mkfsOptions ?? '').split(/ +/).filter((option) => option !== ''),
        readOnly,
        grow: true,
        allowFormat: async () => Promise.resolve(target.mayFormat()),
        onFormatted: async () => target.remember(formattedKey, wanted),
      },
      { signal: ctx.signal },
    );
    if (formatted) ctx.log.info({ device: target.device, fsType }, 'formatted a blank image');
    if (grown) ctx.log.info({ device: target.device, fsType }, 'the file system has grown to its image');
  }

  /** What serves the mount may be gone, and then only a lazy unmount doesn't wait for it. */
  async #unmount(mountPoint: string): Promise<void> {
    const state = await probePath(mountPoint, probeTimeoutMs);
    if (state === 'present') await this.#deps.mounter.unmount(mountPoint);
    else await this.#deps.mounter.unmountLazy(mountPoint);
  }

  async #unmap(ctx: CallContext, id: RbdVolumeId): Promise<void> {
    const options = this.#deps.clusters.find(id.clusterId)?.unmapOptions;
    for (const mapper of this.#deps.mappers) await mapper.unmap(ctx, id, optionsFor(mapper.kind, options));
  }

  async #isImage(device: string, id: RbdVolumeId): Promise<boolean> {
    const answers = await Promise.all(this.#deps.mappers.map(async (mapper) => mapper.isImage(device, id)));
    return answers.includes(true);
  }

  async #mappings(id: RbdVolumeId) {
    return (await Promise.all(this.#deps.mappers.map(async (mapper) => mapper.find(id)))).flat();
  }
}

function describe(access: string, readOnly: boolean): string {
  return `${readOnly ? 'read-only ' : ''}${access}`;
}

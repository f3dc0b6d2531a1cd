import { type MountInfo, mountPointOf, type PathState, probePath } from 'mount-utils-ts';
import { isMultiNode, isReaderOnly } from '../../domain/capability.js';
import { DriverError } from '../../domain/errors.js';
import { type CephfsVolumeId, formatVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { withDeadline } from '../../platform/deadline.js';
import { asDriverError } from '../../platform/mount-failure.js';
import type { InodeUsage, NodeBackend, StagedVolume, StageInput } from '../backend.js';
import { FileSystems } from './file-systems.js';
import { isServedToOthers, mountDirectory, type MountDirectoryDependencies } from './mount-directory.js';
import {
  forgetClient,
  isFencedAt,
  type MountedClientsDependencies,
  nameClient,
  refuseUnattached,
} from './mounted-clients.js';
import { whyReadOnly } from './views.js';
import type { CephfsMounter, MounterName } from './mounter.js';
import { checkMountOptions, parseNodeParameters } from './node-parameters.js';
import { isInSnapshot } from './volume-paths.js';

const probeTimeoutMs = 3_000;
const umountTimeoutMs = 10_000;
const attributeTimeoutMs = 5_000;
const pastMountTimeoutMs = 5_000;

export type CephfsNodeDependencies = MountDirectoryDependencies & MountedClientsDependencies;

interface Found {
  readonly entry: MountInfo;
  readonly by: CephfsMounter;
}

/** CephFS directories behind the Node service. */
export class CephfsNode implements NodeBackend<CephfsVolumeId> {
  readonly kind = 'cephfs';
  readonly #deps: CephfsNodeDependencies;

  constructor(deps: CephfsNodeDependencies) {
    this.#deps = deps;
  }

  async stage(ctx: CallContext, input: StageInput<CephfsVolumeId>): Promise<void> {
    const { id, stagingPath, capability, credentials } = input;
    const { access, mode } = capability;
    if (access.type === 'block') {
      throw new DriverError(
        'INVALID_ARGUMENT',
        `volume ${formatVolumeId(id)} is a CephFS directory and has no block device: use volumeMode Filesystem, or a StorageClass with backend "rbd"`,
      );
    }
    if (id.isView === true && !isReaderOnly(mode)) throw new DriverError('FAILED_PRECONDITION', whyReadOnly(id));
    const parameters = parseNodeParameters(input.context);
    checkMountOptions('volume_capability.mount.mount_flags', access.mountFlags);
    const flags = access.mountFlags.filter((flag) => flag !== 'ro' && flag !== 'rw');
    const readOnly = isReaderOnly(mode) || access.mountFlags.includes('ro') || input.attached.readOnly;
    if (await this.#alreadyStaged(ctx, input, readOnly, parameters.mounter)) return;
    try {
      await mountDirectory(ctx, this.#deps, { id, target: stagingPath, readOnly, parameters, flags, credentials });
      await this.#settle(ctx, input, readOnly);
    } catch (error) {
      throw asDriverError(error);
    }
  }

  async unstage(ctx: CallContext, id: CephfsVolumeId, stagingPath: string): Promise<void> {
    const table = await this.#deps.mounter.list();
    const here = table.filter((entry) => entry.mountPoint === stagingPath && this.#mounterOf(entry, id) !== undefined);
    // Binds, those of subdirectories too, have the device of the mount that they were made of.
    const elsewhere = table.find(
      (entry) => entry.mountPoint !== stagingPath && here.some((staged) => isSameDevice(staged, entry)),
    );
    if (elsewhere !== undefined) {
      throw new DriverError(
        'FAILED_PRECONDITION',
        `volume ${formatVolumeId(id)} is still published at ${elsewhere.mountPoint}: unpublish it there, then unstage it`,
      );
    }
    const wasDead = here.length > 0 && !isFrozen(id) && !(await this.#forgetClient(ctx, id, stagingPath));
    try {
      await this.#unmount(id, stagingPath);
    } catch (error) {
      throw asDriverError(error);
    }
    if (wasDead) await this.#forgetClientPastMount(ctx, id, stagingPath);
    // Also for a request that is repeated: what it has not waited for the first time may still be writing.
    for (const mounter of this.#deps.mounters) await mounter.release(ctx, id);
  }

  async mountsOf(id: CephfsVolumeId): Promise<string[]> {
    const table = await this.#deps.mounter.list();
    return table.filter((entry) => this.#mounterOf(entry, id) !== undefined).map((entry) => entry.mountPoint);
  }

  async isServed(_ctx: CallContext, id: CephfsVolumeId): Promise<boolean> {
    return this.#isServedHere(id);
  }

  async staged(_ctx: CallContext, id: CephfsVolumeId, stagingPath: string): Promise<StagedVolume | undefined> {
    const found = await this.#atPath(id, stagingPath);
    if (found === undefined) return undefined;
    const works = (await this.#probe(id, stagingPath)) === 'present' && isWhole(found.entry, id);
    const readOnly = isReadOnly(found.entry);
    const why = id.isView === true ? { whyReadOnly: whyReadOnly(id) } : {};
    return { access: 'mount', source: stagingPath, readOnly, ...why, works };
  }

  /** statfs(2) counts the whole file system; the directory's own attributes count the volume (Ceph: "ceph.dir.rentries"). */
  async inodes(_ctx: CallContext, _id: CephfsVolumeId, volumePath: string): Promise<InodeUsage | undefined> {
    const read = async (name: string): Promise<bigint | undefined> => {
      const attribute = this.#deps.attributes.read(volumePath, name);
      const text = await withDeadline(attribute, attributeTimeoutMs, `reading ${name} of ${volumePath}`);
      return text !== undefined && /^[0-9]+$/.test(text) ? BigInt(text) : undefined;
    };
    const used = await read('ceph.dir.rentries');
    if (used === undefined) return undefined;
    return { used, total: (await read('ceph.quota.max_files')) ?? 0n };
  }

  /** @throws DriverError when something else is at the path, or the volume is there in another way. */
  async #alreadyStaged(
    ctx: CallContext,
    input: StageInput<CephfsVolumeId>,
    readOnly: boolean,
    wanted: MounterName,
  ): Promise<boolean> {
    const { id, stagingPath } = input;
    const found = await this.#atPath(id, stagingPath);
    if (found === undefined) {
      await this.#refuseForeignMount(stagingPath);
      return false;
    }
    const state = await this.#probeBeside(ctx, input);
    if (state !== 'present' || !isWhole(found.entry, id)) {
      ctx.log.warn({ stagingPath, state, mounter: found.by.kind }, 'the staged mount is dead or half: staging anew');
      await this.#unmount(id, stagingPath, state !== 'present');
      return false;
    }
    if (await isFencedAt(this.#deps, stagingPath, input.attached.fencedClients)) {
      ctx.log.warn({ stagingPath, mounter: found.by.kind }, "the staged mount's client was fenced: staging anew");
      await this.#unmount(id, stagingPath, true);
      return false;
    }
    const asked = wanted === 'auto' ? found.by.kind : wanted;
    if (isReadOnly(found.entry) === readOnly && found.by.kind === asked) {
      // The stage may have been cut off before it had written down its client.
      if (mayNeedFence(input, readOnly)) await nameClient(ctx, this.#deps, id, found.by, stagingPath);
      return true;
    }
    throw new DriverError(
      'ALREADY_EXISTS',
      `volume ${formatVolumeId(id)} is staged at ${stagingPath} ${describe(isReadOnly(found.entry), found.by.kind)}, not ${describe(readOnly, asked)}: unstage it first`,
    );
  }

  async #refuseForeignMount(stagingPath: string): Promise<void> {
    const foreign = mountPointOf(stagingPath, await this.#deps.mounter.list());
    if (foreign === undefined) return;
    throw new DriverError(
      'FAILED_PRECONDITION',
      `staging_target_path ${stagingPath} has ${foreign.source} (${foreign.fsType}) mounted, which is not this volume: unmount it, or use another path`,
    );
  }

  /** What comes after the mount: may it stay, and whose is it? */
  async #settle(ctx: CallContext, input: StageInput<CephfsVolumeId>, readOnly: boolean): Promise<void> {
    const { id, stagingPath, attached } = input;
    if (isFrozen(id)) return;
    const found = await this.#atPath(id, stagingPath);
    if (found === undefined) return;
    try {
      if (mayNeedFence(input, readOnly)) await nameClient(ctx, this.#deps, id, found.by, stagingPath);
      // In this order: a detachment in between sees the client, or is seen here.
      await refuseUnattached(this.#deps, id, stagingPath, attached.required);
    } catch (error) {
      await this.#forgetClient(ctx, id, stagingPath);
      await this.#unmount(id, stagingPath);
      await found.by.release(ctx, id);
      throw error;
    }
  }

  /** @returns false when the mount is dead, or hangs. */
  async #forgetClient(ctx: CallContext, id: CephfsVolumeId, stagingPath: string): Promise<boolean> {
    if ((await probePath(stagingPath, probeTimeoutMs)) !== 'present') return false;
    try {
      await forgetClient(this.#deps, id, stagingPath);
      return true;
    } catch (error) {
      ctx.log.info({ err: error, stagingPath }, "the mount gives no answer when its client's address is to be removed");
      return false;
    }
  }

  /** With the cluster's own credentials, if they allow it: the request has none. What stays is fenced in vain, which does no harm. */
  async #forgetClientPastMount(ctx: CallContext, id: CephfsVolumeId, stagingPath: string): Promise<void> {
    try {
      const past = async () => {
        const { fs } = await new FileSystems(this.#deps.clusters, this.#deps.ceph).open(ctx, id, undefined);
        await forgetClient(this.#deps, id, stagingPath, {
          read: async (name) => (await fs.attributes(ctx, id.path, [name])).get(name),
          write: async (name, value) => fs.setAttribute(ctx, id.path, name, value),
          remove: async (name) => fs.removeAttribute(ctx, id.path, name),
        });
      };
      await withDeadline(past(), pastMountTimeoutMs, `removing the dead client of ${formatVolumeId(id)}`);
    } catch (error) {
      ctx.log.info({ err: error }, 'the address of a dead client stays on the volume');
    }
  }

  /** A mount that hangs is alive: its MDS may be failing over, and pods go on when it is back. @throws DriverError UNAVAILABLE. */
  async #probe(id: CephfsVolumeId, stagingPath: string): Promise<Exclude<PathState, 'hung'>> {
    const state = await probePath(stagingPath, probeTimeoutMs);
    if (state !== 'hung') return state;
    throw silent(id, stagingPath);
  }

  /** A mount that still hangs after the MDS has answered somebody else is dead: its client was shut out and doesn't know it. */
  async #probeBeside(
    ctx: CallContext,
    { id, stagingPath, credentials }: StageInput<CephfsVolumeId>,
  ): Promise<PathState> {
    const state = await probePath(stagingPath, probeTimeoutMs);
    if (state !== 'hung') return state;
    if (await isServedToOthers(ctx, this.#deps, id, credentials)) return probePath(stagingPath, probeTimeoutMs);
    throw silent(id, stagingPath);
  }

  /**
   * Every layer of the volume at the path. One that is silent but served may still be writing, so it is only detached. A ceph-fuse that
   * is killed while it tells the kernel to forget pages waits there for a page that itself should have filled (ADR 13): it ends, and
   * who uses the mount gets an error, when the mount is taken as dead.
   */
  async #unmount(id: CephfsVolumeId, stagingPath: string, isDead = false): Promise<void> {
    while ((await this.#atPath(id, stagingPath)) !== undefined) {
      const state = isDead ? 'corrupted' : await probePath(stagingPath, probeTimeoutMs);
      if (state === 'present') await this.#deps.mounter.unmountWithForce(stagingPath, umountTimeoutMs);
      else if (isDead || !(await this.#isServedHere(id))) await this.#deps.mounter.unmountDead(stagingPath);
      else await this.#deps.mounter.unmountLazy(stagingPath);
    }
  }

  async #isServedHere(id: CephfsVolumeId): Promise<boolean> {
    for (const mounter of this.#deps.mounters) if (await mounter.isServed(id)) return true;
    return false;
  }

  async #atPath(id: CephfsVolumeId, stagingPath: string): Promise<Found | undefined> {
    const entry = mountPointOf(stagingPath, await this.#deps.mounter.list());
    const by = entry === undefined ? undefined : this.#mounterOf(entry, id);
    return entry === undefined || by === undefined ? undefined : { entry, by };
  }

  #mounterOf(entry: MountInfo, id: CephfsVolumeId): CephfsMounter | undefined {
    return this.#deps.mounters.find((mounter) => mounter.isVolume(entry, id));
  }
}

function silent(id: CephfsVolumeId, stagingPath: string): DriverError {
  return new DriverError(
    'UNAVAILABLE',
    `volume ${formatVolumeId(id)} is mounted at ${stagingPath} and gave no answer within ${probeTimeoutMs} ms: is an MDS of file system "${id.fsName}" up (ceph fs status)? The request may be repeated`,
  );
}

function isSameDevice(a: MountInfo, b: MountInfo): boolean {
  return a.major === b.major && a.minor === b.minor;
}

/**
 * A client that can't write needs no fence, nor one of many whose volume never moves. For those there is a price besides: writing on the
 * directory waits for every client that has it mounted, a dead one too, and lets the others' questions about it wait as well.
 */
function mayNeedFence({ id, capability }: StageInput<CephfsVolumeId>, readOnly: boolean): boolean {
  return !readOnly && !isMultiNode(capability.mode) && !isFrozen(id);
}

/** What is mounted is a snapshot: nothing of ours can be written there, and what is there was its source's. */
function isFrozen(id: CephfsVolumeId): boolean {
  return id.isView === true || isInSnapshot(id.path);
}

/** Of a volume that shows a snapshot, that snapshot lies above the directory that it was taken of. */
function isWhole(entry: MountInfo, id: CephfsVolumeId): boolean {
  return id.isView !== true || entry.root.startsWith('/.snap/');
}

function isReadOnly(entry: MountInfo): boolean {
  return entry.mountOptions.includes('ro') || entry.superOptions.includes('ro');
}

function describe(readOnly: boolean, mounter: string): string {
  return `${readOnly ? 'read-only' : 'for writing'} by mounter "${mounter}"`;
}

import { access, mkdir, rm, rmdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  attachLoop,
  detachLoop,
  deviceSizeBytes,
  type Exec,
  findLoops,
  isLoopOver,
  mountPointOf,
  type MounterLike,
  probePath,
  refreshLoopSize,
} from 'mount-utils-ts';
import { v5 as uuidV5 } from 'uuid';
import { DriverError } from '../../domain/errors.js';
import { formatVolumeId, type RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { withDeadline } from '../../platform/deadline.js';
import { type DaemonHost, startDaemon } from '../../platform/daemons.js';
import { asDriverError } from '../../platform/mount-failure.js';
import { type Encryption, wrongPassphrase } from './encryption.js';
import { ensureLuksHeader, type LuksHeaderDependencies } from './luks-header.js';
import { type MappedContent, type Mapper, type MapRequest, type Mapping, waitForSize } from './mapper.js';
import { cephConf, daemonArguments, daemonSecrets } from './userspace-daemon.js';

const program = 'qemu-storage-daemon';
const probeTimeoutMs = 2_000;
const startTimeoutMs = 30_000;
/** Deriving the key of an encrypted image takes a second, on a node that is short of processors many. */
const openTimeoutMs = 100_000;
const loopTimeoutMs = 30_000;
const refreshTimeoutMs = 20_000;
/** SIGTERM makes the daemon flush first: a slow cluster gets the time. */
const stopGraceMs = 30_000;
const volumeDirectories = '0d0a7fb6-6b0f-5a0e-8d3c-1f6f0c1f2b77';

/** What shows an image, and what shows the inside of its LUKS header. Neither is ever taken for the other. */
const plainFile = 'image';
const encryptedFile = 'image.luks';
/** ADR 24. */
const notFlat =
  'the volume is an encrypted clone, which librbd can open safely only when it is flat: the controller flattens it in the background unless its StorageClass names krbd or nbd ' +
  '(rbd flatten does it by hand), the request may then be repeated; krbd and nbd map it now on a node with dm-crypt';

export interface UserspaceMapperDependencies extends LuksHeaderDependencies {
  readonly exec: Exec;
  readonly mounter: MounterLike;
  readonly daemons: DaemonHost;
  /** A directory on tmpfs, e.g. /run/cuttle; one directory per mapped image is made below. */
  readonly runDir: string;
}

/**
 * librbd in qemu-storage-daemon, shown as a file by FUSE, made a block device by a loop device: needs no kernel module
 * of RBD's (qemu-storage-daemon(1), --export type=fuse). One daemon per image, found again through /proc and sysfs.
 */
export class UserspaceMapper implements Mapper {
  readonly kind = 'userspace';
  readonly #deps: UserspaceMapperDependencies;
  #programIsThere = false;

  constructor(deps: UserspaceMapperDependencies) {
    this.#deps = deps;
  }

  async objection(_features: bigint, content: MappedContent = 'plain'): Promise<string | undefined> {
    for (const [path, fix] of [
      ['/dev/fuse', 'modprobe fuse'],
      ['/dev/loop-control', 'modprobe loop'],
    ] as const) {
      if (!(await exists(path))) return `${path} is missing (${fix})`;
    }
    // Once is enough for one that is there.
    this.#programIsThere ||=
      (await this.#deps.exec(program, ['--version'], { timeoutMs: 10_000 })).failure !== 'not-found';
    if (!this.#programIsThere)
      return `${program} is not installed (apt-get install qemu-system-common qemu-block-extra)`;
    if (content === 'encrypted clone') return notFlat;
    if (content === 'encrypted' && !(await this.#deps.luks.isInstalled()))
      return 'the volume is encrypted and the program cryptsetup is not installed (apt-get install cryptsetup-bin)';
    return undefined;
  }

  async find(id: RbdVolumeId): Promise<Mapping[]> {
    const table = await this.#deps.mounter.list();
    const found: Mapping[] = [];
    for (const { file, isEncrypted } of this.#files(id)) {
      if (mountPointOf(file, table) === undefined) continue;
      // A dead daemon's mount answers ENOTCONN; one that hangs waits for its cluster, and is alive.
      if ((await probePath(file, probeTimeoutMs)) === 'corrupted') continue;
      const loops = await findLoops(this.#deps.exec, file);
      found.push(
        ...loops.map(({ device, readOnly }) => ({ device, readOnly, ...(isEncrypted ? { isEncrypted } : {}) })),
      );
    }
    return found;
  }

  async isImage(device: string, id: RbdVolumeId): Promise<boolean> {
    return (await this.#fileUnder(id, device)) !== undefined;
  }

  async map(ctx: CallContext, request: MapRequest): Promise<Mapping> {
    const { encryption } = request;
    if (encryption === undefined) return this.#show(ctx, request);
    if (!encryption.isFormatted) await this.#throughPlain(ctx, { ...request, encryption }, 'prepare');
    try {
      return { ...(await this.#show(ctx, request)), isEncrypted: true };
    } catch (error) {
      if (ctx.signal.aborted) throw error;
      // librbd says only that it could not open it; why is found out where it can be looked at.
      await this.#throughPlain(ctx, { ...request, encryption }, 'explain');
      throw error;
    }
  }

  /** The daemon learns of a new size when the file that it exports is stretched, the loop device when it is told. */
  async refreshSize(
    ctx: CallContext,
    id: RbdVolumeId,
    device: string,
    sizeBytes: bigint,
    headerBytes = 0n,
  ): Promise<void> {
    const file = (await this.#fileUnder(id, device)) ?? this.#file(id, plainFile);
    await withDeadline(stretch(file, sizeBytes, headerBytes), refreshTimeoutMs, `stretching ${file}`);
    await refreshLoopSize(this.#deps.exec, device, { signal: ctx.signal });
    await waitForSize(ctx, device, sizeBytes);
  }

  async unmap(ctx: CallContext, id: RbdVolumeId): Promise<void> {
    await this.#clear(ctx, id);
  }

  /** The kernel knows a loop device's file by its path in the mount namespace that opened it: one that outlives the plugin's container. */
  readonly #inHolder: Exec = async (program, args, { timeoutMs = loopTimeoutMs } = {}) =>
    this.#deps.daemons.run({ program, args, timeoutMs });

  /** Starts a daemon that shows the image, or what is inside its LUKS header, and makes a device of that. */
  async #show(ctx: CallContext, request: MapRequest): Promise<Mapping> {
    const { id, readOnly } = request;
    await this.#clear(ctx, id);
    const file = this.#file(id, request.encryption === undefined ? plainFile : encryptedFile);
    const conf = join(this.#directory(id), 'ceph.conf');
    await mkdir(this.#directory(id), { recursive: true, mode: 0o700 });
    await writeFile(file, '', { mode: 0o600 });
    await writeFile(conf, cephConf(request), { mode: 0o600 });
    try {
      await startDaemon(this.#deps.daemons, {
        program,
        args: daemonArguments(request, file, conf),
        secrets: daemonSecrets(request),
        timeoutMs: request.encryption === undefined ? startTimeoutMs : openTimeoutMs,
      });
      return { device: await attachLoop(this.#inHolder, file, { readOnly, directIo: true }, ctx), readOnly };
    } catch (error) {
      await this.#clear(ctx, id);
      throw asDriverError(error);
    }
  }

  /**
   * Looks at the image as it is, for a moment: makes its LUKS header, if it is to have one, and tells what is wrong with it.
   * @throws DriverError UNAUTHENTICATED (the passphrase is wrong), and what ensureLuksHeader() throws.
   */
  async #throughPlain(
    ctx: CallContext,
    request: MapRequest & { readonly encryption: Encryption },
    why: 'prepare' | 'explain',
  ): Promise<void> {
    const { id, encryption } = request;
    const readOnly = request.readOnly || why === 'explain';
    const { device } = await this.#show(ctx, { ...request, readOnly, encryption: undefined });
    try {
      await ensureLuksHeader(ctx, this.#deps, device, request);
      if (why === 'prepare') return;
      const passphrase = encryption.passphrase.reveal();
      if (!(await this.#deps.luks.fits(device, passphrase, { signal: ctx.signal }))) throw wrongPassphrase(id);
    } catch (error) {
      throw asDriverError(error);
    } finally {
      await this.#clear(ctx, id);
    }
  }

  /** In the order in which nothing written is lost: loop device, daemon, FUSE mount, directory. */
  async #clear(ctx: CallContext, id: RbdVolumeId): Promise<void> {
    const files = this.#files(id).map(({ file }) => file);
    for (const loop of (await Promise.all(files.map(async (file) => findLoops(this.#deps.exec, file)))).flat()) {
      // Detaching what has begun must end, whoever asked for it has gone or not: no signal.
      const outcome = await detachLoop(this.#deps.exec, loop.device);
      if (outcome === 'in-use') {
        throw new DriverError(
          'FAILED_PRECONDITION',
          `${loop.device} of volume ${formatVolumeId(id)} is still open on this node: end what uses it (lsof ${loop.device}), the request may then be repeated`,
        );
      }
    }
    for (const pid of await this.#deps.daemons.find(program, `${this.#directory(id)}/`)) {
      ctx.log.debug({ pid }, `stopping ${program}`);
      await this.#deps.daemons.stop(pid, stopGraceMs);
    }
    // A daemon that was killed leaves a mount that answers ENOTCONN.
    for (const file of files) {
      while (mountPointOf(file, await this.#deps.mounter.list()) !== undefined)
        await this.#deps.mounter.unmountLazy(file);
      await rm(file, { force: true });
    }
    await rm(join(this.#directory(id), 'ceph.conf'), { force: true });
    await rmdir(this.#directory(id)).catch(() => undefined);
  }

  /** Which of the image's files the loop device shows; undefined when it is none of this image's. */
  async #fileUnder(id: RbdVolumeId, device: string): Promise<string | undefined> {
    for (const { file } of this.#files(id)) if (await isLoopOver(this.#deps.exec, device, file)) return file;
    return undefined;
  }

  #directory(id: RbdVolumeId): string {
    return join(this.#deps.runDir, 'rbd', uuidV5(formatVolumeId(id), volumeDirectories));
  }

  #file(id: RbdVolumeId, name: string): string {
    return join(this.#directory(id), name);
  }

  #files(id: RbdVolumeId): { readonly file: string; readonly isEncrypted: boolean }[] {
    return [
      { file: this.#file(id, encryptedFile), isEncrypted: true },
      { file: this.#file(id, plainFile), isEncrypted: false },
    ];
  }
}

/**
 * The daemon hands the size on to librbd. For an encrypted image, librbd 16 takes it to be that of the image, later ones that of what is
 * inside: what is right for the first never cuts the image, and shows by the file's size which one it is.
 */
async function stretch(file: string, sizeBytes: bigint, headerBytes: bigint): Promise<void> {
  if ((await deviceSizeBytes(file)) >= sizeBytes) return;
  const imageBytes = sizeBytes + headerBytes;
  await truncate(file, Number(imageBytes));
  if (headerBytes > 0n && (await deviceSizeBytes(file)) === imageBytes) await truncate(file, Number(sizeBytes));
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

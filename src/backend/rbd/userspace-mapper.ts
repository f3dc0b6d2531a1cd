import { access, mkdir, rm, rmdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  attachLoop,
  backingFileOf,
  detachLoop,
  deviceSizeBytes,
  type Exec,
  findLoops,
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
import type { DaemonHost } from '../../platform/daemons.js';
import { type Mapper, type MapRequest, type Mapping, waitForSize } from './mapper.js';

const program = 'qemu-storage-daemon';
const probeTimeoutMs = 2_000;
const startTimeoutMs = 30_000;
const refreshTimeoutMs = 20_000;
/** SIGTERM makes the daemon flush first: a slow cluster gets the time. */
const stopGraceMs = 30_000;
const volumeDirectories = '0d0a7fb6-6b0f-5a0e-8d3c-1f6f0c1f2b77';

export interface UserspaceMapperDependencies {
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

  async objection(): Promise<string | undefined> {
    for (const [path, fix] of [
      ['/dev/fuse', 'modprobe fuse'],
      ['/dev/loop-control', 'modprobe loop'],
    ] as const) {
      if (!(await exists(path))) return `${path} is missing (${fix})`;
    }
    // Once is enough for one that is there.
    this.#programIsThere ||=
      (await this.#deps.exec(program, ['--version'], { timeoutMs: 10_000 })).failure !== 'not-found';
    return this.#programIsThere
      ? undefined
      : `${program} is not installed (apt-get install qemu-system-common qemu-block-extra)`;
  }

  async find(id: RbdVolumeId): Promise<Mapping[]> {
    const file = this.#file(id);
    if (mountPointOf(file, await this.#deps.mounter.list()) === undefined) return [];
    // A dead daemon's mount answers ENOTCONN; one that hangs waits for its cluster, and is alive.
    if ((await probePath(file, probeTimeoutMs)) === 'corrupted') return [];
    return (await findLoops(file)).map(({ device, readOnly }) => ({ device, readOnly }));
  }

  async isImage(device: string, id: RbdVolumeId): Promise<boolean> {
    return (await backingFileOf(device)) === this.#file(id);
  }

  async map(ctx: CallContext, request: MapRequest): Promise<Mapping> {
    const { id, readOnly } = request;
    await this.#clear(ctx, id);
    const directory = this.#directory(id);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeFile(this.#file(id), '', { mode: 0o600 });
    await writeFile(join(directory, 'ceph.conf'), cephConf(request), { mode: 0o600 });
    try {
      await this.#deps.daemons.start({
        program,
        args: daemonArguments(request, this.#file(id), join(directory, 'ceph.conf')),
        ...(request.key === undefined ? {} : { secret: request.key }),
        timeoutMs: startTimeoutMs,
      });
      const device = await attachLoop(this.#deps.exec, this.#file(id), { readOnly, directIo: true }, ctx);
      return { device, readOnly };
    } catch (error) {
      await this.#clear(ctx, id);
      throw error;
    }
  }

  /** The daemon learns of a new size when the file that it exports is stretched, the loop device when it is told. */
  async refreshSize(ctx: CallContext, id: RbdVolumeId, device: string, sizeBytes: bigint): Promise<void> {
    const file = this.#file(id);
    const stretched = deviceSizeBytes(file).then(async (bytes) => {
      if (bytes < sizeBytes) await truncate(file, Number(sizeBytes));
    });
    await withDeadline(stretched, refreshTimeoutMs, `stretching ${file}`);
    await refreshLoopSize(this.#deps.exec, device, { signal: ctx.signal });
    await waitForSize(ctx, device, sizeBytes);
  }

  async unmap(ctx: CallContext, id: RbdVolumeId): Promise<void> {
    await this.#clear(ctx, id);
  }

  /** In the order in which nothing written is lost: loop device, daemon, FUSE mount, directory. */
  async #clear(ctx: CallContext, id: RbdVolumeId): Promise<void> {
    const file = this.#file(id);
    for (const loop of await findLoops(file)) {
      // Detaching what has begun must end, whoever asked for it has gone or not: no signal.
      const outcome = await detachLoop(this.#deps.exec, loop.device);
      if (outcome === 'in-use') {
        throw new DriverError(
          'FAILED_PRECONDITION',
          `${loop.device} of volume ${formatVolumeId(id)} is still open on this node: end what uses it (lsof ${loop.device}), the request may then be repeated`,
        );
      }
    }
    for (const pid of await this.#daemonsOf(id)) {
      ctx.log.debug({ pid }, `stopping ${program}`);
      await this.#deps.daemons.stop(pid, stopGraceMs);
    }
    // A daemon that was killed leaves a mount that answers ENOTCONN.
    while (mountPointOf(file, await this.#deps.mounter.list()) !== undefined)
      await this.#deps.mounter.unmountLazy(file);
    await rm(file, { force: true });
    await rm(join(this.#directory(id), 'ceph.conf'), { force: true });
    await rmdir(this.#directory(id)).catch(() => undefined);
  }

  async #daemonsOf(id: RbdVolumeId): Promise<number[]> {
    return this.#deps.daemons.find(program, this.#file(id));
  }

  #directory(id: RbdVolumeId): string {
    return join(this.#deps.runDir, 'rbd', uuidV5(formatVolumeId(id), volumeDirectories));
  }

  #file(id: RbdVolumeId): string {
    return join(this.#directory(id), 'image');
  }
}

/** Where the cluster is; never the key. */
function cephConf(request: MapRequest): string {
  const keyring = request.keyring === undefined ? '' : `keyring = ${request.keyring}\n`;
  return `[global]\nmon_host = ${request.monitors}\n${keyring}admin_socket =\nlog_file =\n`;
}

function daemonArguments(request: MapRequest, file: string, conf: string): string[] {
  const { id, readOnly, user, key } = request;
  const blockdev = {
    driver: 'rbd',
    'node-name': 'image',
    pool: id.pool,
    ...(id.namespace === '' ? {} : { namespace: id.namespace }),
    image: id.image,
    user,
    conf,
    ...(key === undefined ? {} : { 'key-secret': 'key' }),
    'read-only': readOnly,
    discard: 'unmap',
  };
  const fuse = {
    type: 'fuse',
    id: 'image',
    'node-name': 'image',
    mountpoint: file,
    writable: !readOnly,
    growable: !readOnly,
  };
  return [
    '--daemonize',
    ...(key === undefined ? [] : ['--object', 'secret,id=key,file=/dev/fd/3,format=base64']),
    '--blockdev',
    JSON.stringify(blockdev),
    '--export',
    JSON.stringify(fuse),
  ];
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

import { access, readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Exec, type MounterLike, type MountInfo, mountPointOf } from 'mount-utils-ts';
import { DriverError } from '../../domain/errors.js';
import { type CephfsVolumeId, formatVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { type DaemonHost, startDaemon } from '../../platform/daemons.js';
import { FuseSockets } from './fuse-sockets.js';
import type { CephfsMounter, MountRequest } from './mounter.js';

const program = 'ceph-fuse';
const fuseDevice = '/dev/fuse';
/** The daemon's own limit for reaching the MDS (client_mount_timeout), and ours for a daemon that doesn't keep it. */
const mountTimeoutSeconds = 15;
const startTimeoutMs = 20_000;
/** Nothing has used the mount of a daemon that failed to start: it holds nothing to write. */
const failedGraceMs = 1_000;
const flushTimeoutMs = 10_000;
/** A daemon that doesn't reach the MDS gives up a little earlier. */
const earlierTimeoutMs = mountTimeoutSeconds * 1_000 + 1_000;
/** Asking takes as long as half a mount; an upgrade is noticed after so long. */
const keepVersionMs = 60_000;

export interface FuseMounterDependencies {
  readonly exec: Exec;
  readonly mounter: MounterLike;
  readonly daemons: DaemonHost;
  /** For the daemons' admin sockets; the same over restarts. */
  readonly socketDir: string;
  readonly fuseDevice?: string;
}

/** ceph-fuse(8), one daemon per mounted volume, found again through /proc; the mount table shows the volume id as its source. */
export class FuseMounter implements CephfsMounter {
  readonly kind = 'fuse';
  readonly #deps: FuseMounterDependencies;
  readonly #sockets: FuseSockets;
  #known: { readonly version: number; readonly sinceMs: number } | undefined;

  constructor(deps: FuseMounterDependencies) {
    this.#deps = deps;
    this.#sockets = new FuseSockets(deps.socketDir);
  }

  async objection(): Promise<string | undefined> {
    const device = this.#deps.fuseDevice ?? fuseDevice;
    const hasDevice = await access(device).then(
      () => true,
      () => false,
    );
    if (!hasDevice) return `${device} is missing (modprobe fuse)`;
    if ((await this.#version()) === undefined) return `${program} is not installed (apt-get install ceph-fuse)`;
    return undefined;
  }

  isVolume(entry: MountInfo, id: CephfsVolumeId): boolean {
    return entry.fsType.startsWith('fuse') && entry.source === formatVolumeId(id);
  }

  async mount(_ctx: CallContext, request: MountRequest): Promise<void> {
    const { id, target } = request;
    await refuseFilledDirectory(target);
    await this.#awaitEarlier(request);
    const version = await this.#version();
    const others = await this.#daemonsOf(id);
    const socket = await this.#sockets.create(id);
    const startMs = performance.now();
    try {
      await startDaemon(this.#deps.daemons, {
        program,
        args: fuseArguments(request, version ?? 0, socket),
        ...(request.key === undefined ? {} : { secrets: [request.key] }),
        timeoutMs: startTimeoutMs,
      });
      if (await this.#isMounted(request)) return;
      throw new DriverError('INTERNAL', `${program} has started without mounting ${formatVolumeId(id)} at ${target}`);
    } catch (error) {
      await this.#endStarted(request, others);
      // All failures of ceph-fuse exit with 1: the time that it took tells the one that is worth waiting for.
      if (performance.now() - startMs < mountTimeoutSeconds * 1_000) throw error;
      throw new DriverError(
        'UNAVAILABLE',
        `${program} could not mount ${formatVolumeId(id)} within ${mountTimeoutSeconds} s: the MDS of file system "${id.fsName}" or the monitors at ${request.monitors} do not answer this node: check them (ceph fs status); the request may be repeated`,
        { cause: error },
      );
    }
  }

  /** A daemon that still writes is left to do so: it holds what a pod believes to be written. */
  async release(ctx: CallContext, id: CephfsVolumeId): Promise<void> {
    const end = performance.now() + flushTimeoutMs;
    for (;;) {
      const mounts = (await this.#deps.mounter.list()).filter((entry) => this.isVolume(entry, id));
      const devices = new Set(mounts.map((entry) => `${entry.major}:${entry.minor}`));
      const daemons = await this.#daemonsOf(id);
      if (daemons.length <= devices.size) {
        await this.#sockets.sweep(id, daemons.length > 0);
        return;
      }
      if (performance.now() > end) {
        ctx.log.warn({ volume: formatVolumeId(id), daemons }, `${program} is still writing: it ends by itself`);
        return;
      }
      await sleep(25);
    }
  }

  async clientAddress(id: CephfsVolumeId, clientId: string): Promise<string | undefined> {
    return this.#sockets.addressOf(id, clientId);
  }

  async isServed(id: CephfsVolumeId): Promise<boolean> {
    return (await this.#daemonsOf(id)).length > 0;
  }

  /**
   * A daemon that a driver has started before it was killed goes on and mounts, on top of what is mounted then: it is waited for, and
   * unmounted.
   */
  async #awaitEarlier(request: MountRequest): Promise<void> {
    const end = performance.now() + earlierTimeoutMs;
    let waited = false;
    while ((await this.#isStarting(request)) && performance.now() < end) {
      waited = true;
      await sleep(25);
    }
    if (waited && (await this.#isMounted(request))) await this.#deps.mounter.unmountLazy(request.target);
  }

  /** Is there a daemon for this very path that hasn't mounted yet? One that was unmounted and still writes has the device open. */
  async #isStarting({ id, target }: MountRequest): Promise<boolean> {
    const ofVolume = await this.#daemonsOf(id);
    if (ofVolume.length === 0) return false;
    const atPath = await this.#deps.daemons.find(program, target);
    const device = this.#deps.fuseDevice ?? fuseDevice;
    const have = await Promise.all(
      atPath.filter((pid) => ofVolume.includes(pid)).map(async (pid) => this.#deps.daemons.hasOpen(pid, device)),
    );
    return have.includes(false);
  }

  /** What a start that failed has left: a mount perhaps, and a daemon that hangs. Other daemons of the volume stay. */
  async #endStarted(request: MountRequest, others: readonly number[]): Promise<void> {
    if (await this.#isMounted(request)) await this.#deps.mounter.unmountLazy(request.target);
    for (const pid of await this.#daemonsOf(request.id)) {
      if (!others.includes(pid)) await this.#deps.daemons.stop(pid, failedGraceMs);
    }
  }

  async #isMounted({ id, target }: MountRequest): Promise<boolean> {
    const entry = mountPointOf(target, await this.#deps.mounter.list());
    return entry !== undefined && this.isVolume(entry, id);
  }

  async #daemonsOf(id: CephfsVolumeId): Promise<number[]> {
    return this.#deps.daemons.find(program, identity(id));
  }

  /** Ceph's major version, e.g. 16; 0 when the program doesn't say; undefined when it isn't installed. */
  async #version(): Promise<number | undefined> {
    if (this.#known !== undefined && performance.now() - this.#known.sinceMs < keepVersionMs)
      return this.#known.version;
    this.#known = undefined;
    const result = await this.#deps.exec(program, ['--version'], { timeoutMs: 10_000 });
    if (result.failure === 'not-found') return undefined;
    const version = Number(/ceph version ([0-9]+)\./.exec(result.stdout + result.stderr)?.[1] ?? 0);
    if (version > 0) this.#known = { version, sinceMs: performance.now() };
    return version;
  }
}

/** libfuse's options that say what is mounted; the comma ends the id, so that no other id has it as its beginning. */
function identity(id: CephfsVolumeId): string {
  return `fsname=${formatVolumeId(id)},subtype=ceph-fuse`;
}

/** Nothing is read from /etc/ceph, and no log is left on the node. */
function fuseArguments(request: MountRequest, version: number, socket: string): string[] {
  const { id, key, keyring, user, monitors, readOnly, options } = request;
  const isBefore = (major: number): boolean => version > 0 && version < major;
  return [
    ...['--id', user, '--conf', '/dev/null', '--mon-host', monitors],
    ...(key === undefined ? [] : ['--keyfile', '/dev/fd/3']),
    ...(keyring === undefined ? [] : ['--keyring', keyring]),
    ...['--client_mountpoint', request.path],
    // Both names are known since Pacific, where the new one counts more: one in the cluster's own configuration would win.
    ...[isBefore(16) ? '--client_mds_namespace' : '--client_fs', id.fsName],
    ...[`--client_mount_timeout=${mountTimeoutSeconds}`, '--log_file=', `--admin_socket=${socket}`],
    // Another name in the cluster's own configuration would hide the snapshot that the volume shows.
    ...(id.isView === true ? ['--client_snapdir=.snap'] : []),
    // Before Mimic (13) quotas may be off unless asked for; there the option has gone.
    ...(isBefore(13) ? ['--client_quota=true'] : []),
    ...['-o', [identity(id), ...(readOnly ? ['ro'] : []), ...options].join(',')],
    request.target,
  ];
}

/** libfuse refuses to cover files, after a second and with an exit code that doesn't say so. */
async function refuseFilledDirectory(target: string): Promise<void> {
  const [first] = await readdir(target);
  if (first === undefined) return;
  throw new DriverError(
    'FAILED_PRECONDITION',
    `the directory ${target} is not empty (it has "${first}") although nothing is mounted there: look at it, move its content away, and repeat the request`,
  );
}

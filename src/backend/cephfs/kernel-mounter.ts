import { access, readdir, readFile } from 'node:fs/promises';
import { release as kernelRelease } from 'node:os';
import { join } from 'node:path';
import type { Exec, ExecResult, MounterLike, MountInfo } from 'mount-utils-ts';
import { DriverError } from '../../domain/errors.js';
import { type CephfsVolumeId, formatVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { type KernelLog, noKernelLog } from '../../platform/kernel.js';
import { codeOf, explainKernelLines, kernelSays } from '../kernel-messages.js';
import { kernelMonitors } from '../kernel-monitors.js';
import { keyInKeyrings } from '../keyring.js';
import { showsDirectory } from './kernel-source.js';
import type { CephfsMounter, MountRequest } from './mounter.js';

/** The kernel gives up by itself after 60 s (`mount_timeout`). */
const mountTimeoutSeconds = 20;
const execTimeoutMs = 30_000;

export interface KernelMounterDependencies {
  readonly exec: Exec;
  readonly mounter: MounterLike;
  readonly kernelLog?: KernelLog;
  /** e.g. `6.1.0-28-amd64` */
  readonly kernelRelease?: string;
  readonly procFilesystems?: string;
  /** debugfs, where the kernel's client shows what it is. */
  readonly debugCeph?: string;
  /** Where mount(8) looks for its helper. */
  readonly helpers?: readonly string[];
}

/** The kernel client, by mount(8) and its helper mount.ceph(8). */
export class KernelMounter implements CephfsMounter {
  readonly kind = 'kernel';
  readonly #deps: KernelMounterDependencies;

  constructor(deps: KernelMounterDependencies) {
    this.#deps = deps;
  }

  async objection(): Promise<string | undefined> {
    const running = this.#deps.kernelRelease ?? kernelRelease();
    if (!enforcesQuotas(running)) {
      return `Linux ${running} does not enforce CephFS quotas, 4.17 and newer do: a volume could grow beyond its size and df would show the whole file system`;
    }
    if (!(await this.#knowsCeph())) return 'this kernel has no CephFS client (modprobe ceph fails)';
    const helpers = this.#deps.helpers ?? ['/sbin/mount.ceph', '/usr/sbin/mount.ceph'];
    if (!(await anyExists(helpers))) return 'the program mount.ceph is not installed (apt-get install ceph-common)';
    return undefined;
  }

  isVolume(entry: MountInfo, id: CephfsVolumeId): boolean {
    return showsDirectory(entry, id);
  }

  async mount(ctx: CallContext, request: MountRequest): Promise<void> {
    const { id, path, monitors, target } = request;
    const asked = request.options.find((option) => option.startsWith('ms_mode='));
    const addresses = kernelMonitors(monitors, asked !== undefined && asked !== 'ms_mode=legacy');
    const key = request.key ?? (await keyInKeyrings(request.keyring ?? '', request.user));
    const options = [
      `name=${request.user}`,
      ...(key === undefined ? [] : ['secretfile=/dev/stdin']),
      `mds_namespace=${id.fsName}`,
      `mount_timeout=${mountTimeoutSeconds}`,
      ...(addresses.v2 && asked === undefined ? ['ms_mode=prefer-crc'] : []),
      ...(request.readOnly ? ['ro'] : []),
      ...request.options,
    ];
    const since = await (this.#deps.kernelLog ?? noKernelLog).mark();
    try {
      const result = await this.#deps.exec(
        'mount',
        ['-t', 'ceph', '-o', options.join(','), '--', `${addresses.addresses}:${path}`, target],
        {
          signal: ctx.signal,
          timeoutMs: execTimeoutMs,
          ...(key === undefined ? {} : { stdin: key.reveal() }),
        },
      );
      if (result.exitCode !== 0 || result.failure !== undefined)
        throw mountFailure(request, result, await since.lines());
    } finally {
      await since.close();
    }
  }

  /** umount(2) has written everything; after a lazy one the kernel goes on by itself. */
  async release(): Promise<void> {
    return Promise.resolve();
  }

  /** Its debugfs directory is called `<fsid>.client<id>`; `instance: client.4220 (1)10.0.0.7:0/123` is a line of its status (Linux 5.9). */
  async clientAddress(_id: CephfsVolumeId, clientId: string): Promise<string | undefined> {
    const top = this.#deps.debugCeph ?? '/sys/kernel/debug/ceph';
    const names = await readdir(top).catch(() => []);
    const name = names.find((one) => one.endsWith(`.client${clientId}`));
    if (name === undefined) return undefined;
    const status = await readFile(join(top, name, 'status'), 'utf8').catch(() => '');
    return /^instance: client\.[0-9]+ (?:\([0-9]+\))?(\S+)$/m.exec(status)?.[1];
  }

  async isServed(id: CephfsVolumeId): Promise<boolean> {
    return (await this.#deps.mounter.list()).some((entry) => this.isVolume(entry, id));
  }

  async #knowsCeph(): Promise<boolean> {
    const isListed = async () => {
      const text = await readFile(this.#deps.procFilesystems ?? '/proc/filesystems', 'utf8').catch(() => '');
      return /^\S*\tceph$/m.test(text);
    };
    if (await isListed()) return true;
    return (await this.#deps.exec('modprobe', ['ceph'], { timeoutMs: 20_000 })).exitCode === 0;
  }
}

/** The kernel client enforces quotas since 4.17 (Ceph documentation, "CephFS quotas", limitations). */
function enforcesQuotas(running: string): boolean {
  const [, major = 0, minor = 0] = (/^([0-9]+)\.([0-9]+)/.exec(running) ?? []).map(Number);
  return major > 4 || (major === 4 && minor >= 17);
}

/** @param lines what the kernel has logged meanwhile */
function mountFailure(request: MountRequest, result: ExecResult, lines: readonly string[]): DriverError {
  const what = `mount -t ceph of ${formatVolumeId(request.id)} at ${request.target}`;
  const findings = explainKernelLines(lines);
  const code = codeOf(findings);
  const logged = kernelSays(findings, lines);
  if (result.failure === 'timed-out' || result.failure === 'aborted') {
    return new DriverError(
      code ?? 'UNAVAILABLE',
      `${what} was ended (${result.failure}): do the monitors at ${request.monitors} and the MDS of file system "${request.id.fsName}" answer this node (ceph fs status)?${logged}`,
    );
  }
  // One monitor of several may be silent: what else is wrong, libcephfs is asked.
  return new DriverError(
    code === undefined || code === 'UNAVAILABLE' ? 'INTERNAL' : code,
    `${what} failed (exit code ${String(result.exitCode)}${logged === '' ? '; the kernel log, dmesg, may say why' : ''})${logged}; it says: ${result.stderr.trim().slice(-400)}`,
  );
}

async function anyExists(paths: readonly string[]): Promise<boolean> {
  const found = await Promise.all(
    paths.map(async (path) =>
      access(path).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true);
}

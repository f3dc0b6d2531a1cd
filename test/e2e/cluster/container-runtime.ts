import { mkdir, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { busyboxImage, podImage, type SmallImage, writeArchive } from './image.js';
import { endOfLog, type Programs } from './programs.js';
import { Hopeless, until } from './until.js';

export interface ContainerRuntime {
  /** The socket of its CRI. */
  readonly socket: string;
  /** Makes an image known under its name. */
  add(image: SmallImage): Promise<void>;
  /** @param archive as `podman save` writes it, or `docker save`. */
  import(archive: string): Promise<void>;
}

/** Where containerd's shims listen, whatever its configuration says. */
const shims = '/run/containerd';

export interface ContainerRuntimeOptions {
  readonly directory: string;
  readonly programs: Programs;
  readonly signal: AbortSignal;
}

const startMs = 60_000;
/** A large image on a busy disk. */
const importMs = 300_000;
/** Where Debian's containernetworking-plugins are. */
const networkPlugins = '/usr/lib/cni';

/** Debian's containerd and runc, with everything of theirs below the directory; the pods' image is in it. */
export async function startContainerRuntime(options: ContainerRuntimeOptions): Promise<ContainerRuntime> {
  const directory = join(options.directory, 'containerd');
  const networks = join(directory, 'cni');
  await mkdir(networks, { recursive: true });
  const socket = join(directory, 'containerd.sock');
  const configFile = join(directory, 'config.toml');
  await writeFile(configFile, configOf(directory, socket, networks));
  await writeFile(join(networks, 'e2e.conflist'), JSON.stringify(networkOf(directory)));
  const containerd = await options.programs.start('containerd', 'containerd', ['--config', configFile]);
  const ctr = async (args: readonly string[], timeout: number): Promise<true> => {
    if (containerd.ended !== undefined)
      throw new Hopeless(`containerd has ended (${containerd.ended}):\n${await endOfLog(containerd)}`);
    await execa('ctr', ['--address', socket, '--namespace', 'k8s.io', ...args], { timeout });
    return true;
  };
  const { signal } = options;
  await until('answer of containerd', async () => ctr(['version'], startMs), { withinMs: startMs, signal });
  const importArchive = async (archive: string): Promise<void> => {
    await ctr(['images', 'import', archive], importMs);
  };
  const add = async (image: SmallImage): Promise<void> => {
    const archive = await writeArchive(join(directory, 'images'), image);
    await importArchive(archive);
    await rm(archive);
  };
  await add(await busyboxImage());
  return { socket, add, import: importArchive };
}

/** Takes away the sockets of shims that were killed: each is named in a file of its container. */
export async function removeShimSockets(directory: string): Promise<void> {
  const state = join(directory, 'containerd', 'state');
  const files = await readdir(state, { recursive: true }).catch(() => []);
  for (const file of files.filter((name) => name.endsWith('/address'))) {
    const address = (await readFile(join(state, file), 'utf8').catch(() => '')).trim();
    const path = address.replace(/^unix:\/\//, '');
    if (path.startsWith(`${shims}/s/`)) await rm(path, { force: true });
  }
  // Unless others use them.
  for (const name of ['s', 'fifo', 'runc/k8s.io', 'runc', '']) await rmdir(join(shims, name)).catch(() => undefined);
}

function configOf(directory: string, socket: string, networks: string): string {
  const unused = ['snapshotter.v1.aufs', 'snapshotter.v1.btrfs', 'snapshotter.v1.devmapper', 'snapshotter.v1.zfs'];
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  return `version = 2
root = "${directory}/root"
state = "${directory}/state"
disabled_plugins = [${unused.map((name) => `"io.containerd.${name}"`).join(', ')}]
[grpc]
address = "${socket}"
[plugins."io.containerd.internal.v1.opt"]
path = "${directory}/opt"
[${cri}]
sandbox_image = "${podImage}"
stream_server_address = "127.0.0.1"
stream_server_port = "0"
disable_hugetlb_controller = true
tolerate_missing_hugetlb_controller = true
# Without CAP_SYS_RESOURCE nobody may be made less likely to be killed than we are.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[${cri}.cni]
bin_dir = "${networkPlugins}"
conf_dir = "${networks}"
[${cri}.containerd]
default_runtime_name = "runc"
snapshotter = "overlayfs"
[${cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[${cri}.containerd.runtimes.runc.options]
Root = "${directory}/runc"
SystemdCgroup = false
`;
}

/** A pair of interfaces for each pod, reachable from this machine and from nowhere else. */
function networkOf(directory: string): unknown {
  const ipam = { type: 'host-local', dataDir: `${directory}/addresses`, ranges: [[{ subnet: '10.99.0.0/24' }]] };
  return { cniVersion: '0.4.0', name: 'e2e', plugins: [{ type: 'ptp', ipam }] };
}

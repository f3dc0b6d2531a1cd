import { existsSync } from 'node:fs';
import { readdir, readlink, rm, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';

/** What kubelet writes there goes there whatever its configuration says: its own directory, and links to logs. */
const kubeletHome = '/var/lib/kubelet';
const devicePlugins = join(kubeletHome, 'device-plugins');
const containerLogs = '/var/log/containers';

/** @throws when another kubelet lives on this machine: the two would take each other's sockets away. */
export function refuseKubernetesNode(): void {
  for (const name of ['config.yaml', 'pods', 'kubeconfig']) {
    const path = join(kubeletHome, name);
    if (existsSync(path)) throw new Error(`${path} is there, so this machine is a node of Kubernetes: use another one`);
  }
}

/** @param directory that of the run, where the links lead to. */
export async function clearFixedPlaces(directory: string): Promise<void> {
  for (const name of await readdir(containerLogs).catch(() => [])) {
    const link = join(containerLogs, name);
    if ((await readlink(link).catch(() => '')).startsWith(`${directory}/`)) await unlink(link);
  }
  await rm(devicePlugins, { recursive: true, force: true });
  // Unless something else is in them.
  for (const place of [containerLogs, kubeletHome]) await rmdir(place).catch(() => undefined);
}

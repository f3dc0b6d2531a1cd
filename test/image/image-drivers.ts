import { existsSync } from 'node:fs';
import { chown, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { TestCluster } from '../harness/cluster.js';
import { startDriver } from '../harness/driver.js';
import { topology } from '../sanity/local-drivers.js';
import type { Drivers } from '../sanity/sanity-cell.js';
import type { Podman } from './podman.js';

/** As the chart runs the controller (deploy/charts/cuttle/values.yaml, controller.runAsUser). */
const controllerUser = 65_532;

/**
 * Both roles in containers, each with what the chart gives it and no more: the controller as an ordinary user without any capability,
 * with the cluster's key; the node privileged. Both with a root file system that is read-only. The node has a key too, unlike the chart's:
 * csi-sanity gives NodeExpandVolume no Secret.
 * @param directory below a mount that is shared with the containers
 */
export async function startContainers(
  podman: Podman,
  image: string,
  directory: string,
  cluster: TestCluster,
): Promise<Drivers> {
  const where = `  - id: default\n    monitors: '${cluster.monHost}'\n    user: admin\n`;
  const nodes = 'nodes: [test-node]\n';
  const controllerDirectory = join(directory, 'controller');
  await mkdir(controllerDirectory, { recursive: true });
  const nodeDirectory = join(directory, 'node');
  await mkdir(nodeDirectory);
  const keyFile = (where: string) => join(where, 'key');
  for (const where of [controllerDirectory, nodeDirectory])
    await writeFile(keyFile(where), cluster.adminKey, { mode: 0o400 });
  for (const path of [controllerDirectory, keyFile(controllerDirectory)])
    await chown(path, controllerUser, controllerUser);
  const controller = await startDriver({
    directory: controllerDirectory,
    role: 'controller',
    args: topology,
    config: `${nodes}clusters:\n${where}    keyFile: ${keyFile(controllerDirectory)}\n`,
    program: podman.run(
      [
        ...['--user', `${controllerUser}:${controllerUser}`, '--read-only', '--read-only-tmpfs=false'],
        ...['--cap-drop', 'all', '--security-opt', 'no-new-privileges'],
        ...['--volume', `${controllerDirectory}:${controllerDirectory}`],
      ],
      image,
    ),
  });
  try {
    const node = await startDriver({
      directory: nodeDirectory,
      role: 'node',
      args: topology,
      config: `${nodes}clusters:\n${where}    keyFile: ${keyFile(nodeDirectory)}\n`,
      program: podman.run(
        [
          ...['--privileged', '--pid', 'host', '--read-only', '--read-only-tmpfs=false'],
          ...['--volume', '/dev:/dev', '--tmpfs', '/tmp', '--tmpfs', '/run/mount', '--tmpfs', '/run/cryptsetup'],
          // A machine whose kernel has everything in it has none.
          ...(existsSync('/lib/modules') ? ['--volume', '/lib/modules:/lib/modules:ro'] : []),
          // What is mounted in the container is to be seen outside, as by kubelet and pods.
          ...['--volume', `${dirname(directory)}:${dirname(directory)}:rshared`],
        ],
        image,
      ),
    });
    return { controller, node };
  } catch (error) {
    await controller.stop();
    throw error;
  }
}

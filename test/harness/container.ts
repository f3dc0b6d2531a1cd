import { access, mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The pids controller is there under cgroup v1 and v2; v2 has one tree for all. */
const trees = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup'];

/** What starts a program in a mount namespace of its own. It shares with this one what is shared here, and goes with its last process. */
export const inOwnMounts = ['unshare', '--mount', '--propagation', 'shared', '--'] as const;

/**
 * What a container is to those in it when it ends: a control group, whose processes are all killed, whoever started them
 * (cgroups(7); container runtimes do it so for pods that share the host's processes).
 */
export class Container {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async create(name: string): Promise<Container> {
    for (const tree of trees) {
      if (
        !(await access(join(tree, 'cgroup.procs')).then(
          () => true,
          () => false,
        ))
      )
        continue;
      const directory = join(tree, name);
      await mkdir(directory);
      return new Container(directory);
    }
    throw new Error('control groups are not mounted at /sys/fs/cgroup');
  }

  /** What this process starts from now on is in the container as well. */
  async add(pid: number): Promise<void> {
    await writeFile(join(this.#directory, 'cgroup.procs'), String(pid));
  }

  async pids(): Promise<number[]> {
    const text = await readFile(join(this.#directory, 'cgroup.procs'), 'utf8');
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map(Number);
  }

  async kill(): Promise<void> {
    for (let pids = await this.pids(); pids.length > 0; pids = await this.pids()) {
      for (const pid of pids) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // it has ended by itself
        }
      }
      await sleep(20);
    }
  }

  async remove(): Promise<void> {
    await this.kill();
    await rmdir(this.#directory);
  }
}

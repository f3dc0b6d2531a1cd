import { execFileSync } from 'node:child_process';
import { mkdir, readdir, rm, rmdir, stat } from 'node:fs/promises';
import type { Test } from 'tap';
import { parseVolumeId } from '../../src/domain/volume-id.js';
import type { TestCluster } from '../harness/cluster.js';
import { documentedCaps } from '../harness/documented-users.js';
import { clusterYaml } from '../harness/driver.js';
import { mountCapability } from '../harness/requests.js';
import { Directories, fsName } from './directories.js';
import { eventually } from './images.js';
import { Site, type SiteOptions } from './site.js';

/** How a volume of directories is asked for. */
export const asDirectory = {
  parameters: { backend: 'cephfs' },
  capabilities: [mountCapability('MULTI_NODE_MULTI_WRITER', '')],
  requiredBytes: 16n << 20n,
};
export const asShared = { capability: mountCapability('MULTI_NODE_MULTI_WRITER', '') };

/** Another driver may hold the purge at that moment: then it is tried again some seconds later. */
const purgedWithinMs = 30_000;

/** The group of a driver's directories, as an administrator sees it: with the whole file system mounted. */
/** For rm(): a purge may still be at work below, and fills what is just being removed. */
export const patiently = { maxRetries: 15, retryDelay: 100 } as const;

export class Group {
  /** Absolute within the file system. */
  readonly path: string;
  readonly directories: Directories;

  constructor(path: string, directories: Directories) {
    this.path = path;
    this.directories = directories;
  }

  /** Names of what lies in it, the driver's hidden directory left out. */
  async names(): Promise<string[]> {
    return (await this.list(this.path)).filter((name) => name !== '.cuttle').sort();
  }

  async trash(): Promise<string[]> {
    return this.list(`${this.path}/.cuttle/trash`);
  }

  async isPurged(): Promise<boolean> {
    return eventually(async () => (await this.trash()).length === 0, purgedWithinMs);
  }

  onHost(path: string): string {
    return this.directories.onHost(path);
  }

  async has(path: string): Promise<boolean> {
    return stat(this.onHost(path)).then(
      () => true,
      () => false,
    );
  }

  /** undefined for one that isn't set. */
  attribute(path: string, name: string): string | undefined {
    const program =
      'try: sys.stdout.write(os.getxattr(sys.argv[1], sys.argv[2]).decode())\nexcept OSError: sys.exit(1)';
    try {
      return python(program, [this.onHost(path), name]);
    } catch {
      return undefined;
    }
  }

  setAttribute(path: string, name: string, value: string): void {
    python('os.setxattr(sys.argv[1], sys.argv[2], sys.argv[3].encode())', [this.onHost(path), name, value]);
  }

  removeAttribute(path: string, name: string): void {
    python('os.removexattr(sys.argv[1], sys.argv[2])', [this.onHost(path), name]);
  }

  /** It would keep its directory from being removed: the end of the test takes it away. */
  async snapshot(t: Test, path: string, name: string): Promise<void> {
    const snapshot = this.onHost(`${path}/.snap/${name}`);
    await mkdir(snapshot);
    t.teardown(async () => rmdir(snapshot).catch(() => undefined));
  }

  /** Names in a directory anywhere; none when it isn't there. */
  async list(path: string): Promise<string[]> {
    return readdir(this.onHost(path)).catch(() => []);
  }
}

/** A site whose driver keeps its directories in a group that nothing else uses. */
export async function openGroup(
  t: Test,
  options: Omit<SiteOptions, 'configFor'> & { readonly extra?: string; readonly settings?: string } = {},
): Promise<{ site: Site; group: Group }> {
  const { extra = '', settings = '', ...rest } = options;
  const configFor = (cluster: TestCluster, pool: string) => clusterYaml(cluster, groupYaml(pool, settings) + extra);
  const site = await Site.open(t, { ...rest, configFor });
  const directories = await Directories.open(t, site);
  const group = new Group(`/volumes/${site.pool}`, directories);
  t.teardown(async () => {
    for (const path of [group.path, directories.top]) {
      await rm(group.onHost(path), { ...patiently, recursive: true, force: true });
    }
  });
  return { site, group };
}

/** @param settings further lines of `cephfs:`, indented by six. */
export function groupYaml(group: string, settings = ''): string {
  return `    cephfs:\n      group: ${group}\n${settings}`;
}

/** Where a volume's directory is. */
export function pathOf(volumeId: string): string {
  const id = parseVolumeId(volumeId);
  if (id?.backend !== 'cephfs') throw new Error(`${volumeId} is no directory's id`);
  return id.path;
}

/** Capabilities for making volumes below a directory. */
export function provisionerCaps(path: string, flags = 'rwps'): Record<string, string> {
  const { mds = '', ...caps } = documentedCaps('controller', 'CephFS', { fsName, path });
  return { ...caps, mds: mds.replace('rwps', flags) };
}

/** Node has no calls for extended attributes. */
function python(program: string, args: readonly string[]): string {
  return execFileSync('python3', ['-c', `import os, sys\n${program}`, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import type { CephAccess, CephTimeouts } from '../../src/ceph/client.js';
import { ConnectionPool } from '../../src/ceph/connection-pool.js';
import { Secret } from '../../src/platform/secret.js';
import type { TestCluster } from '../harness/cluster.js';
import { type ContractSubject, silentLog } from './contract-subject.js';

export const testTimeouts: CephTimeouts = { connectMs: 10_000, monMs: 10_000, osdMs: 20_000 };

/** As client.admin with its key, by the monitors' addresses alone. */
export function adminAccess(cluster: TestCluster, timeouts = testTimeouts): CephAccess {
  return {
    clusterId: 'test',
    monitors: cluster.monHost,
    user: 'admin',
    key: new Secret(cluster.adminKey),
    timeouts,
  };
}

export interface RealSubject extends ContractSubject {
  readonly client: ConnectionPool;
  /** Closes the client and removes what was made. */
  dispose(): Promise<void>;
}

export function realSubject(cluster: TestCluster): RealSubject {
  const client = new ConnectionPool({ log: silentLog });
  const others: ConnectionPool[] = [];
  const pools = new Set<string>();
  let count = 0;
  return {
    client,
    access: adminAccess(cluster),
    fsid: cluster.fsid,
    fileSystem: 'cephfs',
    anotherClient: () => {
      const other = new ConnectionPool({ log: silentLog });
      others.push(other);
      return other;
    },
    createPool: async () => {
      const name = `contract-${process.pid}-${count++}`;
      await cluster.createPool(name);
      pools.add(name);
      return name;
    },
    deletePool: async (name) => {
      await cluster.deletePool(name);
      pools.delete(name);
    },
    createPoolAgain: async (name) => {
      await cluster.createPool(name);
      pools.add(name);
    },
    createNamespace: async (pool, namespace) => {
      await cluster.rbd(['namespace', 'create', '--pool', pool, '--namespace', namespace]);
    },
    openElsewhere: async (pool, image) => openByRbdWatch(cluster, pool, image),
    removeObject: async (pool, object) => {
      await execa('rados', ['--conf', cluster.confPath, '--name', 'client.admin', '--pool', pool, 'rm', object]);
    },
    dispose: async () => {
      await Promise.all([client, ...others].map(async (opened) => opened.close()));
      for (const pool of pools) await cluster.deletePool(pool);
    },
  };
}

/** `rbd watch` opens the image for writing and stays until its standard input says a line. */
async function openByRbdWatch(cluster: TestCluster, pool: string, image: string): Promise<() => Promise<void>> {
  const watching = spawn('rbd', ['--conf', cluster.confPath, '--name', 'client.admin', 'watch', `${pool}/${image}`], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  // A test that fails in between leaves no process behind.
  const end = () => watching.kill('SIGKILL');
  process.once('exit', end);
  watching.once('exit', () => process.off('exit', end));
  await once(watching.stdout, 'data');
  return async () => {
    const exited = once(watching, 'exit');
    watching.stdin.end('\n');
    await Promise.race([exited, endIn(watching, 10_000)]);
  };
}

async function endIn(child: ChildProcess, ms: number): Promise<void> {
  await sleep(ms, undefined, { ref: false });
  child.kill('SIGKILL');
}

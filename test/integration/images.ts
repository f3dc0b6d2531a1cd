import { execa } from 'execa';
import type { TestCluster } from '../harness/cluster.js';

export interface ImageInfo {
  readonly size: number;
  readonly order: number;
  readonly features: readonly string[];
  readonly data_pool?: string;
  readonly stripe_unit?: number;
  readonly stripe_count?: number;
  readonly id: string;
}

export async function imageInfo(cluster: TestCluster, spec: string): Promise<ImageInfo> {
  return JSON.parse(await cluster.rbd(['info', spec, '--format', 'json'])) as ImageInfo;
}

/** All bytes of an image, as a digest. */
export async function imageDigest(cluster: TestCluster, spec: string): Promise<string> {
  const keyring = await execa('ceph-conf', [
    '--conf',
    cluster.confPath,
    '--show-config-value',
    'keyring',
    '-n',
    'client.admin',
  ]);
  const args = ['--conf', cluster.confPath, '--keyring', keyring.stdout, 'export', '--no-progress', spec, '-'];
  const digest = await execa('rbd', args, { encoding: 'buffer' }).pipe('sha256sum');
  return digest.stdout.split(' ')[0] ?? '';
}

export async function hasImage(cluster: TestCluster, spec: string): Promise<boolean> {
  return cluster.rbd(['info', spec]).then(
    () => true,
    () => false,
  );
}

/** `rados ARGS` in a pool, as client.admin. */
export async function rados(cluster: TestCluster, pool: string, args: readonly string[]): Promise<string> {
  const { stdout } = await execa('rados', ['--conf', cluster.confPath, '--pool', pool, ...args]);
  return stdout;
}

/** Ids in a pool's trash. */
export async function trashOf(cluster: TestCluster, pool: string): Promise<string[]> {
  const rows = JSON.parse(await cluster.rbd(['trash', 'ls', '--all', '--pool', pool, '--format', 'json'])) as {
    id: string;
  }[];
  return rows.map((row) => row.id);
}

export { eventually } from '../harness/eventually.js';

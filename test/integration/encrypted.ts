import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { truncate } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatVolumeId } from '../../src/domain/volume-id.js';
import type { NodeOptions } from '../harness/requests.js';
import type { Site } from './site.js';
import type { VolumeLife } from './volume-life.js';

export const mib = 1n << 20n;
/** What a LUKS2 header takes of an image with objects of 4 MiB. */
export const headerBytes = 16n * mib;

/** Secrets of requests that carry a passphrase and nothing else. */
export const passphrase = `correct horse ${randomBytes(8).toString('hex')} ünïcode`;
export const secrets = { encryptionPassphrase: passphrase };

/** A LUKS2 header made by hand, with this passphrase and little work to derive the key. */
export function luksFormat(file: string, ...options: string[]): void {
  const fast = ['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000'];
  execFileSync('cryptsetup', ['luksFormat', '-q', '--type', 'luks2', ...fast, ...options, '--key-file', '-', file], {
    input: passphrase,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
}

/** Makes an image of a file that is prepared so. @returns its volume id. */
export async function importImage(
  site: Site,
  life: VolumeLife,
  name: string,
  bytes: bigint,
  prepare: (file: string) => void,
): Promise<string> {
  const file = await life.file('disk', '');
  await truncate(file, Number(bytes));
  prepare(file);
  await site.cluster.rbd(['import', '--no-progress', file, `${site.pool}/${name}`]);
  const id = formatVolumeId({ backend: 'rbd', clusterId: 'default', pool: site.pool, namespace: '', image: name });
  life.owns(id);
  return id;
}

/** The name of a volume's image. */
export function imageOf(volumeId: string): string {
  return volumeId.split(':').at(-1) ?? '';
}

/** Names of the LUKS devices that are open. */
export function openDevices(): string[] {
  const devices = readdirSync('/sys/block').filter((name) => name.startsWith('dm-'));
  const names = devices.map((name) => readFileSync(`/sys/block/${name}/dm/name`, 'utf8').trim());
  return names.filter((name) => name.startsWith('cuttle-'));
}

const flatWithinMs = 30_000;

/** The userspace mapper takes an encrypted clone when it is flat, which the driver sees to: until then it says so. */
export async function attachWhenFlat(
  life: VolumeLife,
  volumeId: string,
  options: NodeOptions,
): Promise<{ stagingPath: string; targetPath: string }> {
  const end = Date.now() + flatWithinMs;
  for (;;) {
    try {
      return await life.attach(volumeId, options);
    } catch (error) {
      if (!(error as Error).message.includes('flat') || Date.now() > end) throw error;
      await sleep(300);
    }
  }
}

import { readFile } from 'node:fs/promises';
import { Secret } from '../platform/secret.js';

/**
 * A user's key in the first keyring that has it: the kernel and mount.ceph(8) take no keyring, only a key.
 * @param keyrings files separated by commas; those that can't be read are passed over.
 */
export async function keyInKeyrings(keyrings: string, user: string): Promise<Secret | undefined> {
  for (const path of keyrings.split(',').filter((one) => one !== '')) {
    const key = keyOf(await readFile(path, 'utf8').catch(() => ''), `client.${user}`);
    if (key !== undefined) return new Secret(key);
  }
  return undefined;
}

function keyOf(keyring: string, entity: string): string | undefined {
  let section = '';
  for (const line of keyring.split('\n')) {
    section = /^\s*\[(.+)\]\s*$/.exec(line)?.[1] ?? section;
    const key = /^\s*key\s*=\s*(\S+)\s*$/.exec(line)?.[1];
    if (section === entity && key !== undefined) return key;
  }
  return undefined;
}

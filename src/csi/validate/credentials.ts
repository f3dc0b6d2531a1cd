import { cephxKeyObjection } from '../../domain/cephx-key.js';
import type { Credentials } from '../../platform/credentials.js';
import { Secret } from '../../platform/secret.js';
import { invalid } from './fields.js';

/** ceph-csi's pairs, in the order in which they count; the in-tree plugin's lone `key` belongs to client.admin. */
const pairs = [
  { user: 'userID', key: 'userKey' },
  { user: 'adminID', key: 'adminKey' },
] as const;

/**
 * The credentials in a request's secrets; undefined when it has none and the driver's own are used. Values are trimmed:
 * `echo KEY | base64` leaves a newline.
 * @throws DriverError INVALID_ARGUMENT naming the key in the Secret, never its value.
 */
export function readCredentials(secrets: ReadonlyMap<string, string>): Credentials | undefined {
  for (const { user, key } of pairs) {
    const userValue = secrets.get(user)?.trim() ?? '';
    const keyValue = secrets.get(key)?.trim() ?? '';
    if (userValue === '' && keyValue === '') continue;
    if (userValue === '')
      throw invalid(`the Secret has ${key} without ${user}: add ${user}, the name without "client."`);
    if (keyValue === '')
      throw invalid(
        `the Secret has ${user} without ${key}: add the output of "ceph auth get-key client.${user === 'userID' ? 'USER' : 'ADMIN'}"`,
      );
    return credentials(user, userValue, key, keyValue);
  }
  const inTree = secrets.get('key')?.trim() ?? '';
  return inTree === '' ? undefined : credentials('userID', 'admin', 'key', inTree);
}

/**
 * What opens encrypted volumes, ceph-csi's name for it; undefined when there is none. Line ends at its end are cut off, as
 * `echo PASSPHRASE | base64` leaves one; blanks may be meant.
 * @throws DriverError INVALID_ARGUMENT for one that a program would take as shorter than it is.
 */
export function readPassphrase(secrets: ReadonlyMap<string, string>): Secret | undefined {
  const value = (secrets.get('encryptionPassphrase') ?? '').replace(/[\r\n]+$/, '');
  if (value.includes('\0')) throw invalid("the Secret's encryptionPassphrase holds a NUL character: leave it out");
  return value === '' ? undefined : new Secret(value);
}

function credentials(userField: string, user: string, keyField: string, key: string): Credentials {
  if (user.startsWith('client.'))
    throw invalid(`the Secret's ${userField} starts with "client.": write the name without it`);
  if (!/^[\x21-\x7e]+$/.test(user))
    throw invalid(`the Secret's ${userField} is no cephx user name: it holds blanks or control characters`);
  const objection = cephxKeyObjection(key);
  if (objection !== undefined) throw invalid(`the Secret's ${keyField} ${objection}`);
  return { user, key: new Secret(key) };
}

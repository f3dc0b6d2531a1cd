import { inspect } from 'node:util';
import t from 'tap';
import { readCredentials, readPassphrase } from '../../../src/csi/validate/credentials.js';
import { makeCephxKey } from '../../domain/make-cephx-key.js';

const key = makeCephxKey(1);
const other = makeCephxKey(2);
const read = (secrets: Readonly<Record<string, string>>) => readCredentials(new Map(Object.entries(secrets)));

const accepted: readonly [string, Record<string, string>, { user: string; key: string } | undefined][] = [
  ['none', {}, undefined],
  ['none of ours', { encryptionPassphrase: 'x' }, undefined],
  ['userID and userKey', { userID: 'kube', userKey: key }, { user: 'kube', key }],
  ['adminID and adminKey', { adminID: 'root', adminKey: key }, { user: 'root', key }],
  ["the in-tree plugin's key, which is client.admin's", { key }, { user: 'admin', key }],
  ['both pairs: the user counts', { adminID: 'a', adminKey: other, userID: 'u', userKey: key }, { user: 'u', key }],
  ['a pair and a lone key: the pair counts', { key: other, adminID: 'a', adminKey: key }, { user: 'a', key }],
  ['empty values beside a pair', { userID: '', userKey: ' ', adminID: 'a', adminKey: key }, { user: 'a', key }],
  ['values that end in a line feed', { userID: 'kube\n', userKey: `${key}\n` }, { user: 'kube', key }],
  ['a key between blanks and Windows line ends', { key: ` ${key}\r\n` }, { user: 'admin', key }],
];

for (const [what, secrets, expected] of accepted) {
  t.test(`a Secret may hold ${what}`, (t) => {
    const found = read(secrets);
    t.strictSame(found && { user: found.user, key: found.key.reveal() }, expected);
    t.notOk(inspect(found, { depth: 9 }).includes(key));
    t.end();
  });
}

const marker = 'marker-0b7c';
const refused: readonly [string, Record<string, string>, RegExp][] = [
  ['a user without a key', { userID: marker }, /has userID without userKey: add .*client\.USER/],
  ['a key without a user', { userKey: key }, /has userKey without userID: add userID/],
  ['an admin without a key', { adminID: marker }, /has adminID without adminKey: add .*client\.ADMIN/],
  ["an admin's key without a name", { adminKey: key }, /has adminKey without adminID/],
  ['a user with the prefix client.', { userID: 'client.kube', userKey: key }, /userID starts with "client\."/],
  ['a user name with a blank', { userID: `kube ${marker}`, userKey: key }, /userID is no cephx user name/],
  ['a user name that is no ASCII', { userID: `kübe-${marker}`, userKey: key }, /userID is no cephx user name/],
  ['a key that is none', { userID: 'kube', userKey: marker }, /userKey is not base64/],
  ['a command', { userID: 'kube', userKey: `echo ${marker} ${key} | base64` }, /userKey holds blanks or several lines/],
  ['a key encoded twice', { adminID: 'a', adminKey: Buffer.from(key).toString('base64') }, /adminKey .* twice/],
  ['an in-tree key that is none', { key: `${marker}=` }, /Secret's key is not base64/],
];

for (const [what, secrets, message] of refused) {
  t.test(`a Secret with ${what} is refused by the name of its entry, never with a value`, (t) => {
    t.plan(4);
    try {
      read(secrets);
    } catch (error) {
      t.match(error, { code: 'INVALID_ARGUMENT', message });
      const seen = inspect(error);
      t.notOk(seen.includes(marker));
      t.notOk(seen.includes(key));
      t.notOk(seen.includes(Buffer.from(key).toString('base64')));
    }
  });
}

const passphrases: readonly [string, Record<string, string>, string | undefined][] = [
  ['none', {}, undefined],
  ['an empty one', { encryptionPassphrase: '' }, undefined],
  ['a line end alone', { encryptionPassphrase: '\r\n' }, undefined],
  ['one', { encryptionPassphrase: 'correct horse' }, 'correct horse'],
  ['one with line ends behind it', { encryptionPassphrase: 'correct horse\n\n' }, 'correct horse'],
  ['one with blanks around it, which may be meant', { encryptionPassphrase: ' horse ' }, ' horse '],
  ['one with a line end in it', { encryptionPassphrase: 'a\nb\n' }, 'a\nb'],
  ['one in other letters', { encryptionPassphrase: 'größe 🔑' }, 'größe 🔑'],
];

for (const [what, secrets, expected] of passphrases) {
  t.test(`a Secret may hold ${what} as encryptionPassphrase`, (t) => {
    const found = readPassphrase(new Map(Object.entries(secrets)));
    t.equal(found?.reveal(), expected);
    if (expected !== undefined) t.notOk(inspect(found, { depth: 9 }).includes(expected));
    t.end();
  });
}

t.test('a passphrase with a NUL, at which programs would end it, is refused without being repeated', (t) => {
  const secrets = new Map([['encryptionPassphrase', `${marker}\0more`]]);
  const refusal = { code: 'INVALID_ARGUMENT', message: /^the Secret's encryptionPassphrase holds a NUL[^]*$/ };
  t.throws(() => readPassphrase(secrets), refusal);
  t.end();
});

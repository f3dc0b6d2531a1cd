import t from 'tap';
import { cephxKeyObjection } from '../../src/domain/cephx-key.js';
import { makeCephxKey } from './make-cephx-key.js';

const key = makeCephxKey();
const base64 = (text: string) => Buffer.from(text).toString('base64');

t.test('a key as Ceph prints it is fine, with 16 or 32 bytes of secret', (t) => {
  t.equal(cephxKeyObjection(key), undefined);
  t.equal(cephxKeyObjection(makeCephxKey(2, 32, 2)), undefined);
  t.end();
});

const keyring = `[client.kube]\n\tkey = ${key}\n\tcaps mon = "profile rbd"\n`;

const refused: readonly [string, string, RegExp][] = [
  ['nothing', '', /^is empty$/],
  ['a key with a line feed, which the edge has to trim', `${key}\n`, /blanks or several lines/],
  ['a key that was encoded twice', base64(key), /base64-encoded twice.*stringData/],
  ['a key that was encoded twice with a line feed', base64(`${key}\n`), /base64-encoded twice/],
  ['a pasted shell command', `ceph auth get-key client.kube | base64 # ${key}`, /not a command or a whole keyring/],
  ['a whole keyring', keyring, /not a command or a whole keyring/],
  ['a whole keyring in base64', base64(keyring), /is base64 but no cephx key/],
  ['a password', 'correct-horse-battery', /is not base64/],
  ['a key that lost its end', key.slice(0, -1), /is not base64/],
  ['a key that lost four characters', key.slice(0, -4), /is base64 but no cephx key/],
  ['other bytes in base64', base64('hello world, this is no key'), /is base64 but no cephx key/],
  ['a key of type 0', makeCephxKey(1, 16, 0), /no cephx key/],
  ['a key of an unknown type', makeCephxKey(1, 16, 17), /no cephx key/],
  ['a key without a secret', makeCephxKey(1, 0), /no cephx key/],
  ['letters of another alphabet', 'ключ', /is not base64/],
];

for (const [what, text, objection] of refused) {
  t.test(`${what} is refused, and the objection does not repeat it`, (t) => {
    const said = cephxKeyObjection(text);
    t.match(said, objection);
    for (const word of text.split(/\s+/).filter((word) => word.length > 8)) t.notOk(said?.includes(word));
    t.notOk(said?.includes(key));
    t.end();
  });
}

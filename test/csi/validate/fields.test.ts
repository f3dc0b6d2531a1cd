import t from 'tap';
import { readInt64, readMap, requireId, requireName, requirePath } from '../../../src/csi/validate/fields.js';

const refused = (message: RegExp) => ({ code: 'INVALID_ARGUMENT', message });

const names: readonly [string, string][] = [
  ['one letter', 'a'],
  ["Kubernetes' own", 'pvc-6d6b0d5e-2c52-4b5c-9d0e-7f3f2a6d5c11'],
  ['128 letters', 'a'.repeat(128)],
  ['128 emoji, which are 256 UTF-16 units', '🐙'.repeat(128)],
  ['128 letters of a right-to-left script', 'ש'.repeat(128)],
  ['marks that turn the direction', '\u202eabc\u202c'],
  ['combining marks', 'e\u0301'.repeat(64)],
  ['a family of joined emoji', '👨‍👩‍👧‍👦'.repeat(18)],
  ['a zero-width space and a private-use character', '\u200b\ue000'],
  ['slashes, dots and at signs: the name is no path', '../../etc/passwd@snap'],
  ['the characters that CSI leaves out of the ban', 'a\tb\nc\rd\u00a0e'],
  ['percent signs and quotes', '%s"\'`$(id)'],
];

for (const [what, name] of names) {
  t.test(`a name may be ${what}`, (t) => {
    t.equal(requireName(name), name);
    t.end();
  });
}

t.test('a name of 129 characters is refused with both numbers, whatever its bytes', (t) => {
  for (const letter of ['a', '🐙', 'ש']) {
    t.throws(() => requireName(letter.repeat(129)), refused(/name has 129 characters and CSI allows 128/));
  }
  t.end();
});

t.test('an empty name and one that is no Unicode are refused', (t) => {
  t.throws(() => requireName(''), refused(/name is empty/));
  for (const name of ['\ud800', 'a\udfffb', '\udc00\ud800'])
    t.throws(() => requireName(name), refused(/not well-formed Unicode/));
  t.end();
});

t.test('each control character that CSI bans is refused, and no other is', (t) => {
  const allowed = new Set([0x09, 0x0a, 0x0d]);
  let banned = 0;
  for (let code = 0; code <= 0xff; code++) {
    const isBanned = (code < 0x20 || (code >= 0x7f && code <= 0x9f)) && !allowed.has(code);
    const name = `a${String.fromCharCode(code)}b`;
    if (isBanned) t.throws(() => requireName(name), refused(/control character/), `U+00${code.toString(16)}`);
    else if (requireName(name) !== name) t.fail(`U+00${code.toString(16)}`);
    if (isBanned) banned++;
  }
  t.equal(banned, 62);
  t.end();
});

t.test('a volume id must be there, and is judged nowhere else', (t) => {
  t.throws(() => requireId(''), refused(/volume_id is empty/));
  t.equal(requireId('fake-vol-id'), 'fake-vol-id');
  t.end();
});

const paths: readonly [string, string, RegExp][] = [
  ['an empty path', '', /target_path is empty/],
  ['a relative path', 'some/path', /target_path "some\/path" is relative/],
  ['a path that climbs', '/var/lib/../../etc', /climbs with "\.\."/],
  ['a path that ends by climbing', '/var/lib/..', /climbs/],
  ['a path with a zero byte', '/var/a\0b', /zero byte/],
  ['a path of 4097 bytes', `/${'a'.repeat(4096)}`, /longer than 4096 bytes/],
];

for (const [what, path, message] of paths) {
  t.test(`${what} is refused, naming the field`, (t) => {
    t.throws(() => requirePath('target_path', path), refused(message));
    t.end();
  });
}

t.test('a path is used as it stands, without slashes at its end', (t) => {
  t.equal(requirePath('target_path', '/var/lib/kubelet/a b'), '/var/lib/kubelet/a b');
  t.equal(requirePath('target_path', '/mnt/target///'), '/mnt/target');
  t.equal(requirePath('target_path', '/mnt/..hidden/a..'), '/mnt/..hidden/a..');
  t.equal(requirePath('target_path', '/'), '/');
  t.end();
});

t.test('a map may hold 4 KiB, keys counted, and not one byte more', (t) => {
  const of = (bytes: number) => new Map([['key', 'v'.repeat(bytes - 3)]]);
  t.strictSame(Object.keys(readMap('parameters', of(4096))), ['key']);
  t.throws(() => readMap('parameters', of(4097)), refused(/^parameters holds 4097 bytes and CSI allows 4096/));
  t.throws(() => readMap('volume_context', new Map([['k', 'ö'.repeat(2048)]])), refused(/4097 bytes/));
  t.strictSame(readMap('parameters', new Map()), {});
  t.end();
});

t.test('a map key that means something to JavaScript is just a key', (t) => {
  const map = readMap('parameters', new Map([['__proto__', 'x']]));
  t.ok(Object.hasOwn(map, '__proto__'));
  t.notOk('x' in {});
  t.end();
});

t.test('64-bit numbers are read exactly', (t) => {
  t.equal(readInt64('9223372036854775807'), (1n << 63n) - 1n);
  t.equal(readInt64('-9223372036854775808'), -(1n << 63n));
  t.equal(readInt64('9007199254740993'), 9007199254740993n);
  t.end();
});

/**
 * What is wrong with a text that should be a cephx key, as a clause without the text itself; undefined when nothing is.
 * A key is base64 of: u16 type, u32+u32 time of creation, u16 length, that many bytes (ceph, auth/Crypto.cc CryptoKey).
 */
export function cephxKeyObjection(key: string): string | undefined {
  if (key === '') return 'is empty';
  const bytes = decode(key);
  if (bytes === undefined) {
    return /\s/.test(key)
      ? 'holds blanks or several lines: paste only the key, not a command or a whole keyring'
      : 'is not base64: paste the output of "ceph auth get-key client.USER"';
  }
  if (isKey(bytes)) return undefined;
  const inner = decode(new TextDecoder().decode(bytes).trim());
  if (inner !== undefined && isKey(inner))
    return "is base64-encoded twice: a Secret's stringData takes the key as it is, data takes it encoded once";
  return 'is base64 but no cephx key: paste the output of "ceph auth get-key client.USER"';
}

function decode(text: string): Uint8Array | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || text.length % 4 !== 0) return undefined;
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

function isKey(bytes: Uint8Array): boolean {
  if (bytes.length < 12) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const type = view.getUint16(0, true);
  return type >= 1 && type <= 16 && view.getUint16(10, true) === bytes.length - 12 && bytes.length > 12;
}

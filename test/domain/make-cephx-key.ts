/** A cephx key as `ceph auth get-key` prints it, of these bytes; none of a real cluster's. */
export function makeCephxKey(seed = 1, secretBytes = 16, type = 1): string {
  const header = Buffer.alloc(12);
  header.writeUInt16LE(type, 0);
  header.writeUInt32LE(1_600_000_000 + seed, 2);
  header.writeUInt16LE(secretBytes, 10);
  const secret = Buffer.from(Array.from({ length: secretBytes }, (_, i) => (seed * 31 + i * 7) % 256));
  return Buffer.concat([header, secret]).toString('base64');
}

/** The reflected polynomial of CRC-32C (Castagnoli, RFC 3720), which ext4 and xfs use; zlib's is another. */
const POLYNOMIAL = 0x82f63b78;

/** Begins with all ones and does not invert the end: ext4 stores it so, xfs inverted. */
export function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  }
  return crc >>> 0;
}

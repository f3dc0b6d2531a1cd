import { open } from 'node:fs/promises';

const SECTOR = 512;

/** Writes the signature of something that is no file system: just enough for blkid to know it. */
export async function writeSignature(image: string, kind: 'dos' | 'gpt' | 'LVM2_member'): Promise<void> {
  const file = await open(image, 'r+');
  try {
    const sectors = Math.floor((await file.stat()).size / SECTOR);
    if (kind === 'dos') await file.write(mbr(0x83, 2048, sectors - 2048), 0, SECTOR, 0);
    else if (kind === 'LVM2_member') await file.write(lvmLabel(), 0, SECTOR, SECTOR);
    else {
      const entries = gptEntries(sectors);
      await file.write(mbr(0xee, 1, sectors - 1), 0, SECTOR, 0);
      await file.write(gptHeader(sectors, entries), 0, SECTOR, SECTOR);
      await file.write(entries, 0, entries.length, 2 * SECTOR);
    }
  } finally {
    await file.close();
  }
}

/** A master boot record with one partition. */
function mbr(type: number, firstSector: number, sectors: number): Buffer {
  const sector = Buffer.alloc(SECTOR);
  sector.writeUInt8(type, 446 + 4);
  sector.writeUInt32LE(firstSector, 446 + 8);
  sector.writeUInt32LE(sectors, 446 + 12);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

/** 128 entries of 128 bytes, one of them used: UEFI specification, "GPT Partition Entry Array". */
function gptEntries(sectors: number): Buffer {
  const entries = Buffer.alloc(128 * 128);
  // The type GUID of a Linux file system, then a GUID of its own.
  Buffer.from('af3dc60f838472478e793d69d8477de4', 'hex').copy(entries, 0);
  Buffer.alloc(16, 7).copy(entries, 16);
  entries.writeBigUInt64LE(2048n, 32);
  entries.writeBigUInt64LE(BigInt(sectors - 2048), 40);
  return entries;
}

/** UEFI specification, "GPT Header". */
function gptHeader(sectors: number, entries: Buffer): Buffer {
  const header = Buffer.alloc(SECTOR);
  header.write('EFI PART', 0, 'latin1');
  header.writeUInt32LE(0x00010000, 8);
  header.writeUInt32LE(92, 12);
  header.writeBigUInt64LE(1n, 24);
  header.writeBigUInt64LE(BigInt(sectors - 1), 32);
  header.writeBigUInt64LE(34n, 40);
  header.writeBigUInt64LE(BigInt(sectors - 34), 48);
  Buffer.alloc(16, 9).copy(header, 56);
  header.writeBigUInt64LE(2n, 72);
  header.writeUInt32LE(128, 80);
  header.writeUInt32LE(128, 84);
  header.writeUInt32LE(~crc32(entries, 0xffffffff) >>> 0, 88);
  header.writeUInt32LE(~crc32(header.subarray(0, 92), 0xffffffff) >>> 0, 16);
  return header;
}

/** LABELONE, its sector, a checksum, the offset of the header (32), the type and a UUID. */
function lvmLabel(): Buffer {
  const label = Buffer.alloc(SECTOR);
  label.write('LABELONE', 0, 'latin1');
  label.writeBigUInt64LE(1n, 8);
  label.writeUInt32LE(32, 20);
  label.write('LVM2 001', 24, 'latin1');
  label.write('A'.repeat(32), 32, 'latin1');
  // LVM2 starts its CRC at a value of its own and does not invert the end.
  label.writeUInt32LE(crc32(label.subarray(20), 0xf597a6cf), 16);
  return label;
}

/** The reflected CRC-32, without the final inversion. */
function crc32(bytes: Buffer, start: number): number {
  let crc = start;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return crc >>> 0;
}

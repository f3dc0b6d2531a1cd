import { errno } from './ceph-error.js';
import { zeroTerminated } from './cephfs-directory.js';
import type { Place, TreeCalls } from './cephfs-tree-calls.js';
import type { Pointer } from './native/library.js';
import { libcephfs } from './native/libcephfs.js';

const usualBytes = 1024;
const mostBytes = 1 << 20;
const kept = ['user.', 'security.', 'trusted.', 'system.posix_acl_'];
const ownPrefix = 'trusted.cuttle.';
/** `max_bytes=N max_files=N`, 0 = none, in one round trip. */
const quotas = 'ceph.quota';
const inheritable = 'system.posix_acl_default';

/** Copies the attributes that workloads and administrators set. */
export async function copyAttributes(calls: TreeCalls, place: Place, from: Pointer, to: Pointer): Promise<void> {
  for (const name of await names(calls, place, from)) await copyAttribute(calls, place, name, from, to);
}

/** The same, and what the source doesn't have the copy loses. */
export async function mirrorAttributes(calls: TreeCalls, place: Place, from: Pointer, to: Pointer): Promise<void> {
  const wanted = await names(calls, place, from);
  for (const name of await names(calls, place, to)) {
    if (!wanted.includes(name)) await removeAttribute(calls, place, name, to);
  }
  for (const name of wanted) await copyAttribute(calls, place, name, from, to);
}

/** A directory's own quotas. Their like for the top is the volume's size, and its owner's business. */
export async function copyQuotas(calls: TreeCalls, place: Place, from: Pointer, to: Pointer): Promise<void> {
  const text = (await read(calls, place, quotas, from))?.toString('latin1') ?? '';
  for (const [, name = '', value = ''] of text.matchAll(/(max_bytes|max_files)=(\d+)/g)) {
    if (value !== '0') await write(calls, place, `${quotas}.${name}`, Buffer.from(value), to);
  }
}

/** What is made in a directory with a default ACL would begin with that. */
export async function removeDefaultAcl(calls: TreeCalls, place: Place, inode: Pointer): Promise<void> {
  if ((await names(calls, place, inode)).includes(inheritable)) await removeAttribute(calls, place, inheritable, inode);
}

/** Names in latin1, which keeps any bytes. */
async function names(calls: TreeCalls, place: Place, inode: Pointer): Promise<string[]> {
  const { handle, permissions } = calls.mount;
  const listed = Buffer.alloc(8);
  for (let size = usualBytes; ; size *= 8) {
    const list = Buffer.alloc(size);
    const returned = await calls.call(async () =>
      libcephfs().listAttributesOf(handle, inode, list, size, listed, permissions),
    );
    if (returned === -errno.ERANGE && size < mostBytes) continue;
    calls.check(place, returned);
    const all = list.toString('latin1', 0, Number(listed.readBigUInt64LE())).split('\0');
    return all.filter((name) => kept.some((prefix) => name.startsWith(prefix)) && !name.startsWith(ownPrefix));
  }
}

async function copyAttribute(calls: TreeCalls, place: Place, name: string, from: Pointer, to: Pointer): Promise<void> {
  const value = await read(calls, place, name, from);
  if (value !== undefined) await write(calls, place, name, value, to);
}

async function write(calls: TreeCalls, place: Place, name: string, value: Buffer, to: Pointer): Promise<void> {
  const { handle, permissions } = calls.mount;
  const bytes = zeroTerminated(Buffer.from(name, 'latin1'));
  const given = value.length === 0 ? Buffer.alloc(1) : value; // the address of nothing would be null, which removes it
  await calls.must(place, async () =>
    libcephfs().setAttributeOf(handle, to, bytes, given, value.length, 0, permissions),
  );
}

async function read(calls: TreeCalls, place: Place, name: string, inode: Pointer): Promise<Buffer | undefined> {
  const { handle, permissions } = calls.mount;
  const bytes = zeroTerminated(Buffer.from(name, 'latin1'));
  for (let size = usualBytes; ; size *= 8) {
    const value = Buffer.alloc(size);
    const length = await calls.call(async () =>
      libcephfs().getAttributeOf(handle, inode, bytes, value, size, permissions),
    );
    if (length === -errno.ENODATA) return undefined;
    if (length === -errno.ERANGE && size < mostBytes) continue;
    return value.subarray(0, calls.check(place, length));
  }
}

async function removeAttribute(calls: TreeCalls, place: Place, name: string, inode: Pointer): Promise<void> {
  const { handle, permissions } = calls.mount;
  const bytes = zeroTerminated(Buffer.from(name, 'latin1'));
  const returned = await calls.call(async () => libcephfs().removeAttributeOf(handle, inode, bytes, permissions));
  if (returned !== -errno.ENODATA) calls.check(place, returned);
}

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { TestCluster } from '../harness/cluster.js';

/** The whole file system, as a node sees it, ACLs included. @returns the mount point. */
export function mountAll(t: Test, cluster: TestCluster): string {
  const path = mkdtempSync(join(tmpdir(), 'ct-tree-'));
  const acls = ['--client_acl_type=posix_acl', '--fuse_default_permissions=false'];
  execFileSync('ceph-fuse', ['--id', 'admin', '--conf', cluster.confPath, ...acls, path], { stdio: 'ignore' });
  t.teardown(() => {
    execFileSync('umount', ['--lazy', path]);
    rmdirSync(path);
  });
  return path;
}

/** Builds a tree with everything that a file can be. Node has neither setxattr(2) nor mknod(2). */
export function buildOddTree(path: string, depth: number): void {
  python(builder, [path, String(depth)]);
}

/** One line for each entry with all that a copy keeps. */
export function surveyOf(path: string): string[] {
  return python(surveyor, [path]).trim().split('\n');
}

/** One that waits for a mount that hangs takes notice of nothing else. */
const patience = { timeout: 30_000, killSignal: 'SIGKILL' } as const;

function python(program: string, args: readonly string[]): string {
  return execFileSync('python3', ['-c', program, ...args], { encoding: 'utf8', maxBuffer: 64 << 20, ...patience });
}

const builder = String.raw`
import os, stat, sys
top = os.fsencode(sys.argv[1])
def at(*names): return os.path.join(top, *names)
def write(name, data=b'x', mode=0o644):
    with open(at(name), 'wb') as file: file.write(data)
    os.chmod(at(name), mode)
os.mkdir(top)
for name in [b'a', b'a/b', b'a/b/c', b'empty', b'Gr\xc3\xb6\xc3\x9fe \xf0\x9f\xa6\x91', b'\xff\xfe\x80', b'quota', b'acl']: os.mkdir(at(name))
write(b'empty-file', b'')
write(b'a/small', b'small\n' * 100)
write(b'a/b/large', os.urandom(9 << 20))
write(b'a/b/one-block', os.urandom(4 << 20))
write(b'quota/in', b'data' * 5000)
for name in [b'\xff\xfe\x80/\xc3', b' leading and trailing ', b'new\nline\ttab', b'-rf', b'..x', b'...', b'.hidden', b'.cuttle-links', b'x' * 255, b'"\'\\$\x60*?[]{}']:
    write(name, name)
write(b'setuid', b'#!'); os.chown(at(b'setuid'), 12, 34); os.chmod(at(b'setuid'), 0o6755)
write(b'forbidden', b'x', 0)
os.chown(at(b'a'), 1000, 2000); os.chmod(at(b'a'), 0o2775)
write(b'a/inherits', b'the group'); os.chown(at(b'a/inherits'), 7, 8)
os.chmod(at(b'empty'), 0o1777)

os.link(at(b'a/small'), at(b'a/b/c/hard')); os.link(at(b'a/small'), at(b'quota/hard')); os.link(at(b'a/b/large'), at(b'large-hard'))
os.symlink(b'../outside', at(b'to-outside')); os.symlink(b'/absolute/\xff', at(b'a/absolute')); os.symlink(b'loop', at(b'loop')); os.symlink(b'x' * 4000, at(b'long'))
os.chown(at(b'to-outside'), 5, 6, follow_symlinks=False)
os.link(at(b'loop'), at(b'loop-hard'), follow_symlinks=False)
os.mkfifo(at(b'fifo'), 0o640); os.link(at(b'fifo'), at(b'fifo-hard'))
os.mknod(at(b'socket'), stat.S_IFSOCK | 0o600)
os.mknod(at(b'characters'), stat.S_IFCHR | 0o660, os.makedev(1, 3)); os.mknod(at(b'blocks'), stat.S_IFBLK | 0o660, os.makedev(259, 70000))

with open(at(b'sparse'), 'wb') as file:
    file.seek(5 << 20); file.write(b'mid'); file.seek(40 << 20); file.write(b'x' * 70000); file.truncate(60 << 20)
for name, size in [(b'hole', 10 << 20), (b'small-hole', 1000)]:
    with open(at(name), 'wb') as file: file.truncate(size)

for name in [b'a', b'a/small', b'setuid', b'empty-file']:
    for key, value in [('user.text', 'Größe'.encode()), ('user.empty', b''), ('user.long', os.urandom(5000)), ('trusted.t', b'\0\1\2'), ('security.label', b'label')]:
        os.setxattr(at(name), key, value)
os.setxattr(at(b'to-outside'), 'trusted.t', b'on a link', follow_symlinks=False)
os.setxattr(at(b'a/b'), 'user.' + 'n' * 200, b'long name')
for i in range(60): os.setxattr(at(b'a/b/c'), 'user.number-%d-of-many-attributes' % i, b'v' * 50)
os.setxattr(at(b'quota'), 'ceph.quota.max_bytes', b'104857600'); os.setxattr(at(b'quota'), 'ceph.quota.max_files', b'1000')
acl = bytes.fromhex('0200000001000600ffffffff02000600e803000004000400ffffffff10000600ffffffff20000400ffffffff')
write(b'acl/file'); os.setxattr(at(b'acl/file'), 'system.posix_acl_access', acl)
write(b'acl/plain'); os.setxattr(at(b'acl'), 'system.posix_acl_default', acl)
os.setxattr(top, 'user.top', b'top'); os.setxattr(top, 'trusted.cuttle.volume', b'the source'); os.chown(top, 77, 78); os.chmod(top, 0o2770)

os.mkdir(at(b'deep')); os.chdir(at(b'deep'))
for i in range(int(sys.argv[2])): os.mkdir(b'd'); os.chdir(b'd')
with open(b'bottom', 'w') as file: file.write('bottom')
for i in range(int(sys.argv[2])): os.chdir('..')

n = 0
def age():
    global n
    for entry in os.listdir(b'.'):
        if stat.S_ISDIR(os.lstat(entry).st_mode): os.chdir(entry); age(); os.chdir('..')
        n += 1
        os.utime(entry, ns=(10**18 + n * 1000000001, 1200000000123456789 + n * 1000000007), follow_symlinks=False)
sys.setrecursionlimit(10000)
os.chdir(top); age()
os.utime(top, ns=(1111111111111111111, 1222222222222222222))
`;

const surveyor = String.raw`
import hashlib, json, os, stat, sys
sys.setrecursionlimit(10000)
first = {}
def visit(name, inside):
    status = os.lstat(name)
    kind = stat.S_IFMT(status.st_mode)
    row = [inside, kind, oct(stat.S_IMODE(status.st_mode)), status.st_uid, status.st_gid, status.st_atime_ns, status.st_mtime_ns]
    if kind != stat.S_IFDIR: row += [status.st_size, status.st_nlink, first.setdefault(status.st_ino, inside)]
    if kind in (stat.S_IFCHR, stat.S_IFBLK): row.append(status.st_rdev)
    if kind == stat.S_IFLNK: row.append(repr(os.readlink(name)))
    names = [key for key in os.listxattr(name, follow_symlinks=False) if not key.startswith(('ceph.', 'trusted.cuttle.'))]
    if kind == stat.S_IFDIR and inside != '': names += ['ceph.quota.max_bytes', 'ceph.quota.max_files']
    for key in sorted(names):
        try: row.append([key, os.getxattr(name, key, follow_symlinks=False).hex()])
        except OSError: pass
    if kind == stat.S_IFREG and status.st_size <= 64 << 20:
        with open(name, 'rb') as file: row.append(hashlib.sha256(file.read()).hexdigest())
    print(json.dumps(row))
    if kind == stat.S_IFDIR:
        os.chdir(name)
        for entry in sorted(os.listdir(b'.')):
            path = inside + '/' + repr(entry)[2:-1]
            visit(entry, path if len(path) < 300 else '#' + hashlib.sha256(path.encode()).hexdigest())
        os.chdir('..')
os.chdir(sys.argv[1])
visit(b'.', '')
`;

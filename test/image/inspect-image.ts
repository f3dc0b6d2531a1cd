import type { Row } from '../../scripts/testing/results.js';
import type { Podman } from './podman.js';

/** What a node runs, by what proves that it runs. */
const programs = {
  rbd: 'rbd --version',
  'mount.ceph': 'mount.ceph --help',
  'ceph-fuse': 'ceph-fuse --version',
  'rbd-nbd': 'rbd-nbd --version',
  'qemu-storage-daemon': 'qemu-storage-daemon --version',
  "qemu's rbd": `echo '{"execute":"quit"}' | qemu-storage-daemon --blockdev driver=rbd,node-name=a,pool=a,image=a,conf=/none --chardev stdio,id=c 2>&1 | grep -v 'Unknown driver'`,
  'mkfs.ext4': 'mkfs.ext4 -V',
  'mkfs.xfs': 'mkfs.xfs -V',
  xfs_repair: 'xfs_repair -V',
  xfs_growfs: 'xfs_growfs -V',
  resize2fs: 'command -v resize2fs',
  cryptsetup: 'cryptsetup --version',
  losetup: 'losetup --version',
  blkid: 'blkid --version',
  fsck: 'fsck --version',
  modprobe: 'modprobe --version',
  mount: 'mount --version',
} as const;

/** What a production image has no use for. */
const absent = ['npm', 'npx', 'corepack', 'tsc', 'gcc', 'cc', 'make', 'python3', 'git', 'curl', 'ceph'];

export async function inspectImage(podman: Podman, image: string): Promise<Row> {
  const startMs = performance.now();
  const failures: string[] = [];
  for (const [name, proof] of Object.entries(programs)) {
    const answer = await podman.shell(image, `{ ${proof}; } >/dev/null 2>/tmp/why && echo fine || cat /tmp/why`);
    if (answer.trim() !== 'fine') failures.push(`${name} does not run: ${answer}`);
  }
  const found = await podman.shell(image, `for name in ${absent.join(' ')}; do command -v $name; done; true`);
  if (found !== '') failures.push(`these have no business in the image: ${found.replaceAll('\n', ' ')}`);
  const developers = await podman.shell(
    image,
    'ls /opt/cuttle/node_modules | grep -xE "typescript|tap|eslint|prettier|c8"; true',
  );
  if (developers !== '')
    failures.push(`packages for development are in the image: ${developers.replaceAll('\n', ' ')}`);
  const packages = await podman.shell(image, 'ls /var/lib/dpkg/status.d');
  if (!packages.includes('ceph-common')) failures.push('a scanner would not know of ceph-common');
  for (const failure of failures) console.log(`  FAILED: ${failure}`);
  const checks = Object.keys(programs).length + 3;
  return {
    stage: "the image's content",
    passed: checks - failures.length,
    failed: failures.length,
    skipped: 0,
    seconds: (performance.now() - startMs) / 1000,
  };
}

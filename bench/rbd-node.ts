import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type { TestCluster } from '../test/harness/cluster.js';
import { type Binds, bindByHand, untilGone } from './by-hand.js';
import { type Measured, measure, p50 } from './measure.js';
import { type NodeRun, nodeRounds as rounds } from './node.js';
import type { Figure } from './table.js';

/** Staging and publishing beside the same programs called by hand. */
export function rbdNodeFigures(ours: NodeRun, hand: RbdByHand): Figure[] {
  const unit = 'ms';
  return [
    {
      what: 'rbd NodeStageVolume p50, blank image',
      ours: p50(ours.stage),
      floor: p50(hand.blank),
      floorIs: 'qemu-storage-daemon, losetup, blkid, mkfs, mount',
      unit,
    },
    {
      what: 'rbd NodeStageVolume p50, formatted image',
      ours: p50(ours.restage),
      floor: p50(hand.formatted),
      floorIs: 'the same without mkfs',
      unit,
    },
    { what: 'rbd NodeStageVolume again p50', ours: p50(ours.again), unit },
    {
      what: 'rbd NodePublishVolume p50',
      ours: p50(ours.publish),
      floor: p50(hand.bind),
      floorIs: 'mount --bind',
      unit,
    },
    {
      what: 'rbd NodeUnpublishVolume p50',
      ours: p50(ours.unpublish),
      floor: p50(hand.unbind),
      floorIs: 'umount',
      unit,
    },
    {
      what: 'rbd NodeUnstageVolume p50',
      ours: p50(ours.unstage),
      floor: p50(hand.unmap),
      floorIs: 'umount, losetup -d, SIGTERM',
      unit,
    },
  ];
}

export interface RbdByHand extends Binds {
  readonly blank: Measured;
  readonly formatted: Measured;
  readonly unmap: Measured;
}

/** What a careful person would type, on images of their own. */
export async function rbdByHand(cluster: TestCluster, pool: string, directory: string): Promise<RbdByHand> {
  const image = (i: number) => `hand-${i}`;
  const at = (i: number, name: string) => join(directory, `hand-${i}`, name);
  for (let i = 0; i < rounds; i++) {
    await cluster.rbd(['create', `${pool}/${image(i)}`, '--size', '1G']);
    await mkdir(at(i, 'mnt'), { recursive: true });
    await writeFile(at(i, 'image'), '');
  }
  const devices: string[] = [];
  const map = async (i: number, format: boolean) => {
    const conf = { driver: 'rbd', 'node-name': 'image', pool, image: image(i), user: 'admin', conf: cluster.confPath };
    const fuse = { type: 'fuse', id: 'image', 'node-name': 'image', mountpoint: at(i, 'image'), writable: true };
    await execa('qemu-storage-daemon', [
      '--daemonize',
      '--pidfile',
      at(i, 'pid'),
      '--blockdev',
      JSON.stringify(conf),
      '--export',
      JSON.stringify(fuse),
    ]);
    const { stdout: device } = await execa('losetup', ['--find', '--show', '--direct-io=on', at(i, 'image')]);
    devices[i] = device;
    await execa('blkid', ['-p', device], { reject: false });
    if (format) await execa('mkfs.ext4', ['-q', '-F', '-m0', '-E', 'nodiscard', device]);
    await execa('mount', [device, at(i, 'mnt')]);
  };
  const unmap = async (i: number) => {
    await execa('umount', [at(i, 'mnt')]);
    await execa('losetup', ['-d', devices[i] ?? '']);
    const pid = (await readFile(at(i, 'pid'), 'utf8')).trim();
    process.kill(Number(pid), 'SIGTERM');
    await untilGone(pid);
  };
  const blank = await measure(rounds, 1, async (i) => map(i, true));
  const binds = await bindByHand(
    rounds,
    (i) => at(i, 'mnt'),
    (i) => at(i, 'bind'),
  );
  const unmapped = await measure(rounds, 1, unmap);
  const formatted = await measure(rounds, 1, async (i) => map(i, false));
  await measure(rounds, 1, unmap);
  for (let i = 0; i < rounds; i++) await rm(join(directory, `hand-${i}`), { recursive: true, force: true });
  return { blank, formatted, ...binds, unmap: unmapped };
}

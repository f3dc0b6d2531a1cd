import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type { TestCluster } from '../test/harness/cluster.js';
import { type Binds, bindByHand, untilGone } from './by-hand.js';
import { type Measured, measure, p50 } from './measure.js';
import { type NodeRun, nodeRounds as rounds } from './node.js';
import type { RawCephfs } from './raw-cephfs.js';
import type { Figure } from './table.js';

export function cephfsNodeFigures(ours: NodeRun, hand: CephfsByHand): Figure[] {
  const unit = 'ms';
  const stage = { floor: p50(hand.mount), floorIs: 'ceph-fuse' };
  return [
    { what: 'cephfs NodeStageVolume p50', ours: p50(ours.stage), ...stage, unit },
    { what: 'cephfs NodeStageVolume p50, once more', ours: p50(ours.restage), ...stage, unit },
    { what: 'cephfs NodeStageVolume again p50', ours: p50(ours.again), unit },
    {
      what: 'cephfs NodePublishVolume p50',
      ours: p50(ours.publish),
      floor: p50(hand.bind),
      floorIs: 'mount --bind',
      unit,
    },
    {
      what: 'cephfs NodeUnpublishVolume p50',
      ours: p50(ours.unpublish),
      floor: p50(hand.unbind),
      floorIs: 'umount',
      unit,
    },
    {
      what: 'cephfs NodeUnstageVolume p50',
      ours: p50(ours.unstage),
      floor: p50(hand.unmount),
      floorIs: 'umount, the daemon ends',
      unit,
    },
  ];
}

export interface CephfsByHand extends Binds {
  readonly mount: Measured;
  readonly unmount: Measured;
}

/** What a careful person would type, on directories of their own. */
export async function cephfsByHand(cluster: TestCluster, raw: RawCephfs, directory: string): Promise<CephfsByHand> {
  const at = (i: number, name: string) => join(directory, `hand-${i}`, name);
  for (let i = 0; i < rounds; i++) {
    await raw.create(`hand-${i}`);
    await mkdir(at(i, 'mnt'), { recursive: true });
  }
  const mount = await measure(rounds, 1, async (i) =>
    execa('ceph-fuse', [
      ...['--id', 'admin', '--conf', cluster.confPath, '--client_mountpoint', raw.path(`hand-${i}`)],
      ...[`--pid_file=${at(i, 'pid')}`, '--admin_socket=', '--log_file='],
      at(i, 'mnt'),
    ]),
  );
  const binds = await bindByHand(
    rounds,
    (i) => at(i, 'mnt'),
    (i) => at(i, 'bind'),
  );
  const unmount = await measure(rounds, 1, async (i) => {
    const pid = (await readFile(at(i, 'pid'), 'utf8')).trim();
    await execa('umount', [at(i, 'mnt')]);
    await untilGone(pid);
  });
  for (let i = 0; i < rounds; i++) await rm(join(directory, `hand-${i}`), { recursive: true, force: true });
  return { mount, ...binds, unmount };
}

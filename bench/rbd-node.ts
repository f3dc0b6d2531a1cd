import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { csi } from '../src/csi/gen/csi.js';
import type { TestCluster } from '../test/harness/cluster.js';
import { call, type Driver } from '../test/harness/driver.js';
import {
  createRequest,
  deleteRequest,
  publishRequest,
  stageRequest,
  unpublishRequest,
  unstageRequest,
} from '../test/harness/requests.js';
import { type Measured, measure, p50 } from './measure.js';
import type { Figure } from './table.js';

const rounds = 8;

/** Staging and publishing beside the same programs called by hand. */
export async function benchNode(
  driver: Driver,
  cluster: TestCluster,
  pool: string,
  directory: string,
  progress: (text: string) => void,
): Promise<Figure[]> {
  const parameters = { pool };
  const staging = (i: number) => join(directory, `stage-${i}`);
  const target = (i: number) => join(directory, `target-${i}`);
  const ids: string[] = [];
  for (let i = 0; i < rounds; i++) {
    const reply = await call<csi.v1.CreateVolumeResponse>((done) =>
      driver.controller.CreateVolume(createRequest(`node-${i}`, { parameters }), done),
    );
    ids.push(reply.volume?.volume_id ?? '');
  }
  const id = (i: number) => ids[i] ?? '';
  const stage = async (i: number) => call((done) => driver.node.NodeStageVolume(stageRequest(id(i), staging(i)), done));
  const unstage = async (i: number) =>
    call((done) => driver.node.NodeUnstageVolume(unstageRequest(id(i), staging(i)), done));
  const run = async (work: (i: number) => Promise<unknown>): Promise<Measured> => measure(rounds, 1, work);

  progress('NodeStageVolume');
  const first = await run(stage);
  const again = await run(stage);
  const publish = await run(async (i) =>
    call((done) => driver.node.NodePublishVolume(publishRequest(id(i), staging(i), target(i)), done)),
  );
  const unpublish = await run(async (i) =>
    call((done) => driver.node.NodeUnpublishVolume(unpublishRequest(id(i), target(i)), done)),
  );
  const unstaged = await run(unstage);
  const restage = await run(stage);
  await run(unstage);
  for (const one of ids) await call((done) => driver.controller.DeleteVolume(deleteRequest(one), done));

  progress('the same by hand');
  const hand = await byHand(cluster, pool, directory);
  const programs = 'qemu-storage-daemon, losetup, blkid, mkfs, mount';
  return [
    {
      what: 'NodeStageVolume p50, blank image',
      ours: p50(first),
      floor: p50(hand.blank),
      floorIs: programs,
      unit: 'ms',
    },
    {
      what: 'NodeStageVolume p50, formatted image',
      ours: p50(restage),
      floor: p50(hand.formatted),
      floorIs: 'the same without mkfs',
      unit: 'ms',
    },
    { what: 'NodeStageVolume again p50', ours: p50(again), unit: 'ms' },
    { what: 'NodePublishVolume p50', ours: p50(publish), floor: p50(hand.bind), floorIs: 'mount --bind', unit: 'ms' },
    { what: 'NodeUnpublishVolume p50', ours: p50(unpublish), floor: p50(hand.unbind), floorIs: 'umount', unit: 'ms' },
    {
      what: 'NodeUnstageVolume p50',
      ours: p50(unstaged),
      floor: p50(hand.unmap),
      floorIs: 'umount, losetup -d, SIGTERM',
      unit: 'ms',
    },
  ];
}

interface ByHand {
  readonly blank: Measured;
  readonly formatted: Measured;
  readonly bind: Measured;
  readonly unbind: Measured;
  readonly unmap: Measured;
}

/** What a careful person would type, on images of their own. */
async function byHand(cluster: TestCluster, pool: string, directory: string): Promise<ByHand> {
  const image = (i: number) => `hand-${i}`;
  const at = (i: number, name: string) => join(directory, `hand-${i}`, name);
  for (let i = 0; i < rounds; i++) {
    await cluster.rbd(['create', `${pool}/${image(i)}`, '--size', '1G']);
    await mkdir(at(i, 'mnt'), { recursive: true });
    await mkdir(at(i, 'bind'), { recursive: true });
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
    const { stdout: pid } = await execa('cat', [at(i, 'pid')]);
    process.kill(Number(pid), 'SIGTERM');
    // Gone when its command line is: nobody here reaps a daemon's zombie.
    while ((await execa('cat', [`/proc/${pid}/cmdline`], { reject: false })).stdout !== '')
      await new Promise((r) => setTimeout(r, 5));
  };
  const blank = await measure(rounds, 1, async (i) => map(i, true));
  const bind = await measure(rounds, 1, async (i) => execa('mount', ['--bind', at(i, 'mnt'), at(i, 'bind')]));
  const unbind = await measure(rounds, 1, async (i) => execa('umount', [at(i, 'bind')]));
  const unmapped = await measure(rounds, 1, unmap);
  const formatted = await measure(rounds, 1, async (i) => map(i, false));
  await measure(rounds, 1, unmap);
  for (let i = 0; i < rounds; i++) await rm(join(directory, `hand-${i}`), { recursive: true, force: true });
  return { blank, formatted, bind, unbind, unmap: unmapped };
}

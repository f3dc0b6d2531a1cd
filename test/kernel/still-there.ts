import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const settleMs = 5_000;

/** Devices that are mapped and Ceph's file systems that are mounted, in words: after a suite there must be none. What is on its way gets a moment. */
export async function stillThere(): Promise<string[]> {
  const end = Date.now() + settleMs;
  for (;;) {
    const found = [...(await mappedByKrbd()), ...(await mappedByNbd()), ...(await cephMounts())];
    if (found.length === 0 || Date.now() > end) return found;
    await sleep(200);
  }
}

async function mappedByKrbd(): Promise<string[]> {
  const indexes = await readdir('/sys/bus/rbd/devices').catch(() => []);
  return indexes.map((index) => `/dev/rbd${index} is still mapped`);
}

async function mappedByNbd(): Promise<string[]> {
  const names = (await readdir('/sys/block')).filter((name) => /^nbd[0-9]+$/.test(name));
  const pids = await Promise.all(names.map(async (name) => readFile(`/sys/block/${name}/pid`, 'utf8').catch(() => '')));
  return names.filter((_, i) => pids[i] !== '').map((name) => `/dev/${name} is still mapped`);
}

async function cephMounts(): Promise<string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return lines
    .filter((line) => / - (?:ceph|fuse\.ceph-fuse|fuse\.ceph) /.test(line))
    .map((line) => `${line.split(' ')[4] ?? ''} is still mounted`);
}

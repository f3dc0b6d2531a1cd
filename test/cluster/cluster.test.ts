import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { execa } from 'execa';
import t, { type Test } from 'tap';
import { clusterScript, startCluster, useCluster, type TestCluster } from '../harness/cluster.js';

const script = clusterScript();
const base = await mkdtemp(join(tmpdir(), 'ctt-'));
t.setTimeout(240_000); // tap's own 30 s are for one cluster, not for a dozen
let serial = 0;
const freshDir = (): string => join(base, `c${++serial}`);

t.teardown(async () => {
  for (const name of await readdir(base)) await execa(script, ['stop', '--dir', join(base, name)], { reject: false });
  await rm(base, { recursive: true, maxRetries: 20, retryDelay: 50 });
});

interface Outcome {
  exitCode: number | undefined;
  stdout: string;
  stderr: string;
}

async function command(args: string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  const { exitCode, stdout, stderr } = await execa(script, args, { env, reject: false });
  return { exitCode, stdout, stderr };
}

/** Command lines of the live processes that name the directory, mounts below it, and shared memory that mentions Ceph. */
async function remains(dir: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (line.includes(dir)) found.push(line.replaceAll('\0', ' '));
  }
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  found.push(...mounts.split('\n').filter((line) => line.includes(dir)));
  const sockets = await readFile('/proc/net/unix', 'utf8');
  found.push(...sockets.split('\n').filter((line) => line.includes(dir)));
  return found;
}

async function sharedMemory(): Promise<string[]> {
  return (await readdir('/dev/shm')).filter((name) => /ceph|lttng/.test(name));
}

/** Starts a start and leaves it as soon as its progress says `until`. */
async function startUntil(dir: string, until: string, signal: NodeJS.Signals): Promise<number | null> {
  return (await startAndThen(dir, until, (script) => script.kill(signal))).exitCode;
}

/** Does something in the moment in which the script says `until`. */
async function startAndThen(
  dir: string,
  until: string,
  act: (script: ChildProcess) => void,
): Promise<{ exitCode: number | null; progress: string }> {
  const child = spawn(script, ['start', '--dir', dir], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  let progress = '';
  child.stderr.on('data', (chunk: Buffer) => {
    const before = progress.includes(until);
    progress += chunk.toString();
    if (!before && progress.includes(until)) act(child);
  });
  return { exitCode: await ended, progress };
}

await t.test('a cluster starts within 30 s, is healthy, and serves images, files and users', async (t) => {
  const memoryBefore = await sharedMemory();
  const startedMs = Date.now();
  const cluster = await startCluster({ dir: freshDir() });
  t.ok(Date.now() - startedMs < 30_000, `started in ${Date.now() - startedMs} ms`);

  t.equal(await cluster.ceph(['health']), 'HEALTH_OK');
  t.equal(cluster.fsid, await cluster.ceph(['fsid']));
  t.match(cluster.monHost, /^\[v2:127\.0\.0\.1:\d+,v1:127\.0\.0\.1:\d+\]$/);
  t.equal(await cluster.ceph(['auth', 'get-key', 'client.admin']), cluster.adminKey);
  t.notMatch(inspect(cluster) + JSON.stringify(cluster), cluster.adminKey, 'printing the cluster shows no key');
  t.strictSame((await cluster.ceph(['osd', 'pool', 'ls'])).split('\n'), ['rbd', 'cephfs_metadata', 'cephfs_data']);
  t.match(await cluster.ceph(['fs', 'status', 'cephfs']), /active/);
  t.match(
    await cluster.ceph(['tell', 'mon.a', 'config', 'get', 'paxos_propose_interval']),
    /"1.000000"/,
    'the monitor has its default pace again',
  );

  await cluster.rbd(['create', '--size', '1G', 'rbd/probe']);
  t.equal(await cluster.rbd(['ls', 'rbd']), 'probe');
  await cluster.createPool('quiet');
  await cluster.rbd(['create', '--size', '1G', 'quiet/probe']);
  await cluster.deletePool('quiet');
  const caps = { mon: 'profile rbd', osd: 'profile rbd pool=rbd' };
  const key = await cluster.createUser('reader', caps);
  t.match(key, /^[\w+/]+=*$/);
  t.equal(await cluster.createUser('reader', caps), key, 'the same user again has the same key');
  await cluster.removeUser('reader');
  await t.rejects(cluster.ceph(['auth', 'get-key', 'client.reader']));

  await leavesAnotherRunning(t, cluster);

  const dir = join(base, `c${serial}`);
  await cluster.stop();
  await cluster.stop();
  t.strictSame(await remains(dir), [], 'no process, mount or socket is left');
  t.notOk(existsSync(dir));
  t.strictSame(await sharedMemory(), memoryBefore);
});

async function leavesAnotherRunning(t: Test, cluster: TestCluster): Promise<void> {
  process.env.CUTTLE_TEST_CEPH_CONF = cluster.confPath;
  try {
    const foreign = await useCluster();
    t.equal(foreign.owned, false);
    t.equal(foreign.adminKey, cluster.adminKey);
    await t.rejects(foreign.pidOf('mon'), /not started by the tests/);
    await foreign.stop();
    t.equal(await cluster.ceph(['health']), 'HEALTH_OK', "another's cluster is left running");
    process.env.CUTTLE_TEST_CEPH_CONF = '/nowhere/ceph.conf';
    await t.rejects(useCluster(), /cannot be read/);
  } finally {
    delete process.env.CUTTLE_TEST_CEPH_CONF;
  }
}

await t.test('two clusters started at once coexist, and stopping one leaves the other', async (t) => {
  const [one, two] = await Promise.all([
    startCluster({ dir: freshDir(), fs: false }),
    startCluster({ dir: freshDir() }),
  ]);
  t.not(one.fsid, two.fsid);
  t.not(one.monHost, two.monHost);
  t.notOk(existsSync(join(one.confPath, '..', 'run', 'mds.pid')), 'without a file system there is no mds');
  await one.stop();
  t.equal(await two.ceph(['health']), 'HEALTH_OK');
  await two.stop();
});

await t.test('a cluster that runs is not started again, and one that lost daemons gets them back', async (t) => {
  const dir = freshDir();
  const cluster = await startCluster({ dir });
  await cluster.rbd(['create', '--size', '1G', 'rbd/kept']);
  const pid = await cluster.pidOf('mon');

  const again = await command(['start', '--dir', dir]);
  t.equal(again.exitCode, 0);
  t.match(again.stderr, /already running/);
  t.equal(again.stdout, cluster.confPath);
  t.equal(await cluster.pidOf('mon'), pid);
  t.equal((await command(['status', '--dir', dir])).exitCode, 0);

  process.kill(pid, 'SIGKILL');
  process.kill(await cluster.pidOf('mds'), 'SIGKILL');
  const partial = await command(['status', '--dir', dir]);
  t.equal(partial.exitCode, 3);
  t.match(partial.stdout, /mon: not running/);

  const revived = await command(['start', '--dir', dir]);
  t.equal(revived.exitCode, 0, revived.stderr);
  t.equal(await cluster.rbd(['ls', 'rbd']), 'kept');

  process.kill(await cluster.pidOf('osd'), 'SIGSTOP');
  await cluster.stop();
  t.strictSame(await remains(dir), [], 'a stopped daemon ends too');
});

await t.test(
  'a start that is interrupted or killed midway leaves nothing that a stop or a start cannot end',
  async (t) => {
    for (const until of ['mon is up', 'osd is up']) {
      const dir = freshDir();
      t.equal(await startUntil(dir, until, 'SIGINT'), 130, `interrupted when ${until}`);
      t.strictSame(await remains(dir), []);
      t.notOk(existsSync(dir));
    }

    const killed = freshDir();
    await startUntil(killed, 'pools are made', 'SIGKILL');
    const next = await command(['start', '--dir', killed]);
    t.equal(next.exitCode, 0, next.stderr);
    t.match(next.stderr, /cleaning up/);
    t.equal((await command(['stop', '--dir', killed, '--keep'])).exitCode, 0);
    t.strictSame(await remains(killed), []);
    t.ok(existsSync(join(killed, 'log', 'mon.log')), '--keep keeps the logs');

    const half = freshDir();
    await startUntil(half, 'osd is up', 'SIGKILL');
    // Its daemons still write there.
    await rm(half, { recursive: true, maxRetries: 20, retryDelay: 50 });
    t.equal((await command(['stop', '--dir', half])).exitCode, 0);
    t.strictSame(await remains(half), [], 'the daemons end although their directory is gone');
  },
);

await t.test(
  'a manager that crashes while the cluster starts is started again, one that is killed is not',
  async (t) => {
    const crashing = freshDir();
    const crashed = await startAndThen(crashing, 'osd is up', () => {
      signalDaemon(crashing, 'mgr', 'SIGSEGV');
    });
    t.equal(crashed.exitCode, 0, crashed.progress);
    t.match(crashed.progress, /ceph-mgr crashed \(exit status 139\): starting it again/);
    t.equal((await command(['status', '--dir', crashing])).exitCode, 0);
    t.equal((await command(['stop', '--dir', crashing])).exitCode, 0);
    t.strictSame(await remains(crashing), []);

    const killed = freshDir();
    const ended = await startAndThen(killed, 'osd is up', () => {
      signalDaemon(killed, 'mgr', 'SIGKILL');
    });
    t.equal(ended.exitCode, 1);
    t.match(ended.progress, /ceph-mgr ended while the cluster was starting \(exit status 137\)/);
    t.equal((await command(['stop', '--dir', killed])).exitCode, 0);
    t.strictSame(await remains(killed), []);
  },
);

function signalDaemon(dir: string, name: string, signal: NodeJS.Signals): void {
  process.kill(Number(readFileSync(join(dir, 'run', `${name}.pid`), 'utf8')), signal);
}

await t.test('a stop is harmless where there is nothing of ours, and unmounts what a test left below', async (t) => {
  const nowhere = await command(['stop', '--dir', freshDir()]);
  t.equal(nowhere.exitCode, 0);

  const theirs = freshDir();
  await mkdir(theirs);
  await writeFile(join(theirs, 'precious'), '');
  t.equal((await command(['stop', '--dir', theirs])).exitCode, 1);
  const start = await command(['start', '--dir', theirs]);
  t.equal(start.exitCode, 1);
  t.match(start.stderr, /not empty/);
  t.ok(existsSync(join(theirs, 'precious')));

  const dir = freshDir();
  await mkdir(join(dir, 'mnt'), { recursive: true });
  await writeFile(join(dir, '.ceph-cluster'), 'fs=yes\n');
  await execa('mount', ['--bind', theirs, join(dir, 'mnt')]);
  t.equal((await command(['stop', '--dir', dir])).exitCode, 0);
  t.strictSame(await remains(dir), []);
  t.ok(existsSync(join(theirs, 'precious')), 'nothing behind the mount is removed');
});

await t.test('a missing program is named together with its Debian package', async (t) => {
  const bin = join(base, 'bin');
  await mkdir(bin);
  t.teardown(async () => rm(bin, { recursive: true }));
  for (const dir of ['/usr/sbin', '/usr/bin']) {
    for (const name of await readdir(dir)) {
      if (name !== 'ceph-osd') await symlink(join(dir, name), join(bin, name)).catch(() => undefined);
    }
  }
  const dir = freshDir();
  const { exitCode, stderr } = await command(['start', '--dir', dir], { PATH: bin });
  t.equal(exitCode, 2);
  t.match(stderr, /'ceph-osd' is missing; it is in Debian's package ceph-osd/);
  t.match(stderr, /apt-get install .*ceph-osd/);
  t.notOk(existsSync(dir));
});

await t.test('arguments that cannot work are refused with a reason', async (t) => {
  const refused: [string[], RegExp][] = [
    [['start', '--dir', join(base, 'd'.repeat(100))], /too long.*at most \d+ bytes/],
    [['start', '--dir', join(base, 'with blank')], /character/],
    [['start', '--dir', join(base, 'x'), '--port', '70000'], /--port/],
    [['start', '--dir', join(base, 'x'), '--memory', '4G'], /--memory/],
    [['start'], /--dir/],
    [['begin'], /unknown command/],
  ];
  for (const [args, reason] of refused) {
    const { exitCode, stderr } = await command(args);
    t.equal(exitCode, 2, args[0] ?? '');
    t.match(stderr, reason);
  }
  const help = await command(['help']);
  t.equal(help.exitCode, 0);
  t.match(help.stdout, /start --dir|start {2}--dir/);
});

await t.test('a port that is taken fails with its number', async (t) => {
  const cluster = await startCluster({ dir: freshDir(), fs: false });
  const port = /v2:127\.0\.0\.1:(\d+)/.exec(cluster.monHost)?.[1] ?? '';
  const second = await command(['start', '--dir', freshDir(), '--port', port]);
  t.equal(second.exitCode, 1);
  t.match(second.stderr, new RegExp(`port ${port} is in use`));
  await cluster.stop();

  const dir = freshDir();
  const after = await command(['start', '--dir', dir, '--no-fs', '--port', port]);
  t.equal(after.exitCode, 0, `as soon as the other is stopped, its port can be had: ${after.stderr}`);
  t.equal((await command(['stop', '--dir', dir])).exitCode, 0);
});

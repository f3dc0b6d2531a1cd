import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { access, mkdtemp, readFile, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';

export type Daemon = 'mon' | 'mgr' | 'osd' | 'mds';

/** A Ceph cluster for tests: one of our own, or the one that CUTTLE_TEST_CEPH_CONF names. */
export interface TestCluster {
  /** Absolute path of its ceph.conf. */
  readonly confPath: string;
  /** `mon_host` as the ceph.conf says it. */
  readonly monHost: string;
  readonly fsid: string;
  /** The key of client.admin. Not enumerable: printing the cluster does not print the key. */
  readonly adminKey: string;
  /** A pool made ready for RBD. */
  readonly rbdPool: string;
  /** The file system, ceph/demo's name for it too. */
  readonly fsName: string;
  /** Whether we started it: only then may its daemons be stopped or killed. */
  readonly owned: boolean;
  /** `ceph ARGS` as client.admin; its stdout. */
  ceph(args: string[]): Promise<string>;
  /** `rbd ARGS` as client.admin; its stdout. */
  rbd(args: string[]): Promise<string>;
  /** Makes a small pool and readies it for RBD. */
  createPool(name: string): Promise<void>;
  deletePool(name: string): Promise<void>;
  /** Makes the user client.NAME (or returns the one with these very caps) and returns its key. */
  createUser(name: string, caps: Record<string, string>): Promise<string>;
  removeUser(name: string): Promise<void>;
  /** Ends an owned cluster and removes its directory; leaves another's running. May be called twice. */
  stop(): Promise<void>;
  /** The process id of a daemon of an owned cluster. */
  pidOf(daemon: Daemon): Promise<number>;
}

export interface StartOptions {
  /** A directory that is empty or not there yet; a fresh one below the system's temporary directory when left out. */
  dir?: string;
  /** Whether there is an mds and a file system; true when left out. */
  fs?: boolean;
  /** Whether its monitor decides every 50 ms and not once a second; false when left out. */
  quickMonitor?: boolean;
  /** Whether a signal stops it at once; true when left out. Whoever unmounts volumes before sees to signals itself. */
  stopOnSignal?: boolean;
}

const FOREIGN_CONF = 'CUTTLE_TEST_CEPH_CONF';
/** `rbd encryption format` derives a key for 6 s, and several of them share two processors with other tests. */
const COMMAND_TIMEOUT_MS = 150_000;
const START_TIMEOUT_MS = 180_000;

/** Whether CUTTLE_TEST_CEPH_CONF names a cluster. */
export function isClusterNamed(): boolean {
  return (process.env[FOREIGN_CONF] ?? '') !== '';
}

/** The cluster that CUTTLE_TEST_CEPH_CONF names, or a new one of our own, with a quick monitor unless told otherwise. */
export async function useCluster({ quickMonitor = true } = {}): Promise<TestCluster> {
  const confPath = process.env[FOREIGN_CONF];
  if (confPath === undefined || confPath === '') return await startCluster({ quickMonitor });
  await access(confPath).catch((cause: unknown) => {
    throw new Error(`${FOREIGN_CONF} names ${confPath}, which cannot be read`, { cause });
  });
  return await Cluster.connect(confPath, undefined);
}

/** A new cluster of our own, whatever the environment says. Takes about 2 s. */
export async function startCluster(options: StartOptions = {}): Promise<TestCluster> {
  // Short, because a socket's path has at most 107 bytes.
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'ct-')));
  const noFs = options.fs === false ? ['--no-fs'] : [];
  const quick = options.quickMonitor === true ? ['--quick-mon'] : [];
  const args = ['start', '--dir', dir, ...noFs, ...quick];
  const started = await execa(clusterScript(), args, { timeout: START_TIMEOUT_MS }).catch(async (error: unknown) => {
    await rmdir(dir).catch(() => undefined); // it stays when there are logs in it to read
    throw error;
  });
  const confPath = started.stdout.trim().split('\n').at(-1) ?? '';
  const remover = removeAtExit(dir, options.stopOnSignal ?? true);
  try {
    return await Cluster.connect(confPath, { dir: dirname(confPath), remover });
  } catch (error) {
    remover.removeNow();
    throw error;
  }
}

/** Absolute path of test/cluster/ceph-cluster, seen from the sources as well as from dist/. */
export function clusterScript(): string {
  for (let dir = import.meta.dirname; dir !== dirname(dir); dir = dirname(dir)) {
    const script = join(dir, 'test', 'cluster', 'ceph-cluster');
    if (existsSync(script)) return script;
  }
  throw new Error(`test/cluster/ceph-cluster is not above ${import.meta.dirname}`);
}

interface Ownership {
  dir: string;
  remover: Remover;
}

class Cluster implements TestCluster {
  readonly confPath: string;
  readonly monHost: string;
  readonly fsid: string;
  readonly rbdPool: string = 'rbd';
  readonly fsName: string = 'cephfs';
  readonly #adminKey: string;
  readonly #keyringPath: string;
  readonly #ownership: Ownership | undefined;
  #stopped = false;

  private constructor(facts: ConfFacts, ownership: Ownership | undefined) {
    this.confPath = facts.confPath;
    this.monHost = facts.monHost;
    this.fsid = facts.fsid;
    this.#adminKey = facts.adminKey;
    this.#keyringPath = facts.keyringPath;
    this.#ownership = ownership;
  }

  static async connect(confPath: string, ownership: Ownership | undefined): Promise<TestCluster> {
    const cluster = new Cluster(await readConf(confPath), ownership);
    if (!cluster.owned) await cluster.#ensureRbdPool();
    return cluster;
  }

  get adminKey(): string {
    return this.#adminKey;
  }

  get owned(): boolean {
    return this.#ownership !== undefined;
  }

  async ceph(args: string[]): Promise<string> {
    return await run('ceph', [...this.#asAdmin(), '--connect-timeout', '20', ...args]);
  }

  async rbd(args: string[]): Promise<string> {
    return await run('rbd', [...this.#asAdmin(), ...args]);
  }

  async createPool(name: string): Promise<void> {
    await this.ceph(['osd', 'pool', 'create', name, '8']);
    await this.rbd(['pool', 'init', name]);
  }

  async deletePool(name: string): Promise<void> {
    await this.ceph(['osd', 'pool', 'delete', name, name, '--yes-i-really-really-mean-it']);
  }

  async createUser(name: string, caps: Record<string, string>): Promise<string> {
    const answer = await this.ceph(['auth', 'get-or-create', userName(name), ...Object.entries(caps).flat()]);
    return keyIn(answer, userName(name), 'the answer of ceph auth get-or-create');
  }

  async removeUser(name: string): Promise<void> {
    await this.ceph(['auth', 'rm', userName(name)]);
  }

  async stop(): Promise<void> {
    if (this.#ownership === undefined || this.#stopped) return;
    this.#stopped = true;
    await execa(clusterScript(), ['stop', '--dir', this.#ownership.dir], { timeout: START_TIMEOUT_MS });
    this.#ownership.remover.forget();
  }

  async pidOf(daemon: Daemon): Promise<number> {
    if (this.#ownership === undefined) {
      throw new Error(
        `The cluster of ${this.confPath} was not started by the tests, so they may not touch its ${daemon}. ` +
          `Unset ${FOREIGN_CONF} to give the tests a cluster of their own.`,
      );
    }
    const pid = Number(await readFile(join(this.#ownership.dir, 'run', `${daemon}.pid`), 'utf8'));
    process.kill(pid, 0); // throws ESRCH when it is gone
    return pid;
  }

  #asAdmin(): string[] {
    return ['--conf', this.confPath, '--name', 'client.admin', '--keyring', this.#keyringPath];
  }

  async #ensureRbdPool(): Promise<void> {
    const pools = (await this.ceph(['osd', 'pool', 'ls'])).split('\n');
    if (!pools.includes(this.rbdPool)) await this.ceph(['osd', 'pool', 'create', this.rbdPool, '8']);
    await this.rbd(['pool', 'init', this.rbdPool]);
  }
}

interface ConfFacts {
  confPath: string;
  monHost: string;
  fsid: string;
  keyringPath: string;
  adminKey: string;
}

async function readConf(confPath: string): Promise<ConfFacts> {
  const [monHost, fsid, keyrings] = await Promise.all([
    confValue(confPath, 'mon_host'),
    confValue(confPath, 'fsid'),
    confValue(confPath, 'keyring'),
  ]);
  // A container's ceph.conf names the keyring at the container's path; on the host it lies beside the file.
  const candidates = [...keyrings.split(/[,;\s]+/), join(dirname(confPath), 'ceph.client.admin.keyring')];
  const keyringPath = candidates.find((path) => path !== '' && existsSync(path));
  if (keyringPath === undefined) {
    throw new Error(`None of the keyrings that ${confPath} names is there: ${candidates.join(', ')}`);
  }
  const adminKey = keyIn(await readFile(keyringPath, 'utf8'), 'client.admin', keyringPath);
  return { confPath, monHost, fsid, keyringPath, adminKey };
}

async function confValue(confPath: string, option: string): Promise<string> {
  return await run('ceph-conf', ['--conf', confPath, '--name', 'client.admin', '--show-config-value', option]);
}

/** The key of one user in the text of a keyring. The text itself stays out of the error. */
function keyIn(keyring: string, user: string, where: string): string {
  let section = '';
  for (const line of keyring.split('\n')) {
    section = /^\s*\[(.+)\]\s*$/.exec(line)?.[1] ?? section;
    const key = /^\s*key\s*=\s*(\S+)\s*$/.exec(line)?.[1];
    if (section === user && key !== undefined) return key;
  }
  throw new Error(`There is no key of ${user} in ${where}`);
}

function userName(name: string): string {
  return name.startsWith('client.') ? name : `client.${name}`;
}

async function run(program: string, args: string[]): Promise<string> {
  const env = { LC_ALL: 'C', CEPH_ARGS: '' };
  const { stdout } = await execa(program, args, { env, stdin: 'ignore', timeout: COMMAND_TIMEOUT_MS });
  return stdout.trim();
}

interface Remover {
  /** The cluster has been stopped in the ordinary way. */
  forget(): void;
  removeNow(): void;
}

/** A test that ends without stop(), by an exception or a signal, still leaves no cluster behind (SIGKILL excepted). */
function removeAtExit(dir: string, onSignals: boolean): Remover {
  const removeNow = (): void => {
    forget();
    execFileSync(clusterScript(), ['stop', '--dir', dir], { stdio: 'ignore' });
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    removeNow();
    process.kill(process.pid, signal);
  };
  const forget = (): void => {
    process.off('exit', removeNow);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, onSignal);
  };
  process.on('exit', removeNow);
  if (onSignals) for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  return { forget, removeNow };
}

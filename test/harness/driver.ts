import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { csi } from '../../src/csi/gen/csi.js';
import type { TestCluster } from './cluster.js';

const launcher = fileURLToPath(new URL('../../../bin/cuttle.cjs', import.meta.url));
const stopTimeoutMs = 30_000;
/** A machine that is emulated, beside others that work, takes its time to load a program. */
const probeTimeoutMs = 60_000;

export interface DriverOptions {
  /** Everything of the driver lies below: socket, log, configuration, run directory. Short, and empty before. */
  readonly directory: string;
  /** What stands in the configuration file; clusterYaml() makes one for a test cluster. */
  readonly config: string;
  readonly role?: 'controller' | 'node' | 'all';
  readonly logLevel?: string;
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** A `cuttle serve` process and clients for it. */
export interface Driver {
  readonly socketPath: string;
  readonly runDir: string;
  readonly logFile: string;
  readonly configFile: string;
  readonly pid: number;
  /** Milliseconds from spawn to the socket's answering. */
  readonly readyMs: number;
  readonly identity: csi.v1.IdentityClient;
  readonly controller: csi.v1.ControllerClient;
  readonly node: csi.v1.NodeClient;
  log(): Promise<string>;
  /** SIGTERM (or the given signal); @returns the exit code, null when the signal ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** The configuration of one cluster called `default`, as client.admin with the keyring that its ceph.conf names. */
export function clusterYaml(cluster: Pick<TestCluster, 'confPath'>, extra = ''): string {
  return `clusters:\n  - id: default\n    cephConf: ${cluster.confPath}\n${extra}`;
}

/** Starts the driver and waits until it answers Probe. */
export async function startDriver(options: DriverOptions): Promise<Driver> {
  const { directory } = options;
  await mkdir(directory, { recursive: true });
  const configFile = join(directory, 'config.yaml');
  const socketPath = join(directory, 'csi.sock');
  const logFile = join(directory, 'driver.log');
  const runDir = join(directory, 'run');
  await writeFile(configFile, options.config);
  const startMs = performance.now();
  const child = spawn(
    process.execPath,
    [
      launcher,
      'serve',
      ...['--endpoint', `unix://${socketPath}`, '--config', configFile, '--run-dir', runDir],
      ...['--role', options.role ?? 'all', '--log-level', options.logLevel ?? 'debug', '--node-id', 'test-node'],
      ...(options.args ?? []),
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...options.env } },
  );
  child.stderr.pipe(createWriteStream(logFile, { flags: 'a' }));
  let isStopped = false;
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  child.once('exit', (code, signal) => {
    // Every later failure of the test follows from this one.
    if (!isStopped)
      console.error(`the driver ended by itself: exit code ${String(code)}, signal ${String(signal)}, ${logFile}`);
  });
  const clients = {
    identity: new csi.v1.IdentityClient(`unix:${socketPath}`, credentials.createInsecure()),
    controller: new csi.v1.ControllerClient(`unix:${socketPath}`, credentials.createInsecure()),
    node: new csi.v1.NodeClient(`unix:${socketPath}`, credentials.createInsecure()),
  };
  await untilReady(child, socketPath, clients.identity, logFile);
  return {
    ...clients,
    socketPath,
    runDir,
    logFile,
    configFile,
    pid: child.pid ?? 0,
    readyMs: performance.now() - startMs,
    log: async () => readFile(logFile, 'utf8'),
    stop: async (signal = 'SIGTERM') => {
      isStopped = true;
      for (const client of Object.values(clients)) client.close();
      child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
      const code = await exited;
      clearTimeout(timer);
      return code;
    },
  };
}

async function untilReady(
  child: ChildProcess,
  socketPath: string,
  identity: csi.v1.IdentityClient,
  logFile: string,
): Promise<void> {
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`the driver ended before it was ready:\n${await readFile(logFile, 'utf8').catch(() => '')}`);
    }
    if (await answers(socketPath)) break;
    await sleep(5);
  }
  await call((done) =>
    identity.Probe(new csi.v1.ProbeRequest(), new Metadata(), { deadline: Date.now() + probeTimeoutMs }, done),
  );
}

/** A driver that was killed leaves its socket: that the file is there says nothing. */
async function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    const done = (isListening: boolean): void => {
      socket.destroy();
      resolve(isListening);
    };
    socket.once('connect', () => {
      done(true);
    });
    socket.once('error', () => {
      done(false);
    });
  });
}

/** One RPC as a promise. @param start gets the callback, e.g. `(done) => driver.controller.DeleteVolume(request, done)` */
export async function call<T>(start: (done: (error: ServiceError | null, reply?: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, reply) => {
      if (error !== null) reject(error);
      else resolve(reply as T);
    });
  });
}

/** The code's name and the message of an RPC that is expected to fail, e.g. `{code: 3, message: '...'}`; throws when it succeeds. */
export async function failure(
  start: (done: (error: ServiceError | null, reply?: unknown) => void) => unknown,
): Promise<{ code: number; message: string }> {
  try {
    await call(start);
  } catch (error) {
    const { code, details } = error as ServiceError;
    return { code, message: details };
  }
  throw new Error('the RPC succeeded and was expected to fail');
}

/** Removes a driver's directory when nothing is mounted below it any more. */
export async function removeDirectory(directory: string): Promise<void> {
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  if (table.includes(` ${directory}/`)) throw new Error(`something is still mounted below ${directory}`);
  await rm(directory, { recursive: true, force: true });
}

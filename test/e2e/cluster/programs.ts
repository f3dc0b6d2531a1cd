import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The variable by which every process of a run is known, children and grandchildren included; its value is the run's directory. */
export const mark = 'CUTTLE_E2E_RUN';

export interface ProgramOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Whether it is started again when it ends by itself, as kubelet does with a container; false when left out. */
  readonly restarted?: boolean;
}

/** A program that runs as long as the cluster does. */
export interface Program {
  readonly name: string;
  readonly logFile: string;
  readonly pid: number;
  /** How it has ended, in words; undefined while it runs. */
  readonly ended: string | undefined;
  /** Sends the signal and waits; a program that is still there after withinMs (3 s when left out) is killed. It is not started again. */
  end(signal?: NodeJS.Signals, withinMs?: number): Promise<void>;
}

const graceMs = 3_000;
const pauseMs = 500;

/** All programs of a run, each with a log of its own. */
export class Programs {
  readonly #directory: string;
  readonly #logs: string;
  readonly #all: OneProgram[] = [];

  /**
   * @param directory the run's.
   * @param logs a directory that outlives it.
   */
  constructor(directory: string, logs: string) {
    this.#directory = directory;
    this.#logs = logs;
  }

  async start(name: string, program: string, args: readonly string[], options: ProgramOptions = {}): Promise<Program> {
    await mkdir(this.#logs, { recursive: true });
    const env = { ...process.env, ...options.env, [mark]: this.#directory };
    const one = new OneProgram(name, join(this.#logs, `${name}.log`), program, args, { ...options, env });
    this.#all.push(one);
    await one.start();
    return one;
  }

  /** Those that have ended by themselves and do not run now. */
  lost(): string[] {
    return this.#all.flatMap((one) => (one.ended === undefined ? [] : [`${one.name} (${one.ended}; ${one.logFile})`]));
  }

  /** Ends what still runs, all at once: nothing of what they hold is needed any more. */
  async endAll(): Promise<void> {
    await Promise.all(this.#all.map(async (one) => one.end()));
  }
}

class OneProgram implements Program {
  readonly name: string;
  readonly logFile: string;
  readonly #program: string;
  readonly #args: readonly string[];
  readonly #options: ProgramOptions;
  #child: ChildProcess | undefined;
  #ended: string | undefined;
  #isWanted = true;

  constructor(name: string, logFile: string, program: string, args: readonly string[], options: ProgramOptions) {
    this.name = name;
    this.logFile = logFile;
    this.#program = program;
    this.#args = args;
    this.#options = options;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get ended(): string | undefined {
    return this.#isWanted ? this.#ended : undefined;
  }

  async start(): Promise<void> {
    const log = await open(this.logFile, 'a');
    const { env, cwd } = this.#options;
    // A session of its own: a terminal's Ctrl-C is for us, who end everything in order.
    const child = spawn(this.#program, this.#args, { env, cwd, detached: true, stdio: ['ignore', log.fd, log.fd] });
    this.#child = child;
    this.#ended = undefined;
    child.once('error', (error) => {
      this.#ended = error.message;
    });
    child.once('exit', (code, signal) => {
      this.#ended = signal ?? `exit code ${String(code)}`;
      if (this.#isWanted && this.#options.restarted === true) void this.#again();
    });
    await log.close();
  }

  async end(signal: NodeJS.Signals = 'SIGTERM', withinMs = graceMs): Promise<void> {
    this.#isWanted = false;
    const child = this.#child;
    if (child === undefined || this.#ended !== undefined) return;
    const exit = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    child.kill('SIGCONT');
    if ((await Promise.race([exit, sleep(withinMs, 'late', { ref: false })])) !== 'late') return;
    child.kill('SIGKILL');
    await exit;
  }

  async #again(): Promise<void> {
    await sleep(pauseMs, undefined, { ref: false });
    if (this.#isWanted) await this.start();
  }
}

/** The last lines of a log, for an error. */
export async function endOfLog({ logFile }: Pick<Program, 'logFile'>, lines = 15): Promise<string> {
  const text = await readFile(logFile, 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-lines).join('\n');
}

/** Ports on 127.0.0.1 that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map(async (server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

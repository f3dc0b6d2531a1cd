import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { execa } from 'execa';

const buildTimeoutMs = 30 * 60_000;
const runTimeoutMs = 120_000;

/** A process may not raise what it is held to where root has been taken CAP_SYS_RESOURCE: these are low enough everywhere. */
const limits = ['--ulimit', 'nofile=16384:16384', '--ulimit', 'nproc=16384:16384'];

/** podman with a store of its own: nothing of the machine's images and containers is seen or touched. */
export class Podman {
  /** The program and the arguments that come first. */
  readonly command: readonly [string, ...string[]];
  readonly #runRoot: string;
  readonly #store: string;

  /** @param directory keeps the images, layers of earlier builds included. */
  constructor(directory: string) {
    this.#store = resolve(directory, 'store');
    // The store remembers where this is: it is always the same.
    this.#runRoot = resolve(directory, 'run');
    this.command = ['podman', '--root', this.#store, '--runroot', this.#runRoot, '--storage-driver', 'overlay'];
  }

  /** What stands between the program and the arguments of a container. */
  run(options: readonly string[], image: string): [string, ...string[]] {
    return [...this.command, 'run', '--rm', '--network', 'host', ...limits, ...options, image];
  }

  /** A root file system's archive becomes the image of this name. */
  async import(archive: string, name: string): Promise<void> {
    await this.#exec(['import', archive, name], buildTimeoutMs);
  }

  async has(image: string): Promise<boolean> {
    const [program, ...first] = this.command;
    return (await execa(program, [...first, 'image', 'exists', image], { reject: false })).exitCode === 0;
  }

  /** @throws when the build fails, with the end of what it has said. */
  async build(image: string, secrets: Readonly<Record<string, string>>): Promise<void> {
    const given = Object.entries(secrets).flatMap(([id, path]) => ['--secret', `id=${id},src=${path}`]);
    // What the base is called is not looked for anywhere else.
    await this.#exec(
      ['build', '--pull=never', '--network', 'host', ...limits, ...given, '-t', image, '.'],
      buildTimeoutMs,
    );
  }

  /** Runs something else than the driver in the image; its stdout. */
  async shell(image: string, script: string): Promise<string> {
    const [program, ...args] = this.run(['--entrypoint', '/bin/sh'], image);
    return (await execa(program, [...args, '-c', script], { timeout: runTimeoutMs })).stdout;
  }

  /** Writes an image as an archive in Docker's format. */
  async save(image: string, archive: string): Promise<void> {
    await this.#exec(['save', '--format', 'docker-archive', '--output', archive, image], buildTimeoutMs);
  }

  /** Size in bytes as podman counts it, and of each layer what made it. */
  async sizes(image: string): Promise<{ bytes: number; layers: { bytes: number; by: string }[] }> {
    const inspected = JSON.parse(await this.#exec(['image', 'inspect', image])) as [{ Size: number }];
    const history = JSON.parse(await this.#exec(['history', '--format', 'json', image])) as {
      size: number;
      CreatedBy: string;
    }[];
    return {
      bytes: inspected[0].Size,
      layers: history.filter(({ size }) => size > 0).map(({ size, CreatedBy }) => ({ bytes: size, by: CreatedBy })),
    };
  }

  /** No container, mount or process stays; of the layers those that a next build may use. */
  async close(): Promise<void> {
    await this.#exec(['rm', '--all', '--force', '--time', '1']);
    await this.#exec(['image', 'prune', '--force', '--filter', 'until=24h']);
    await execa('umount', [join(this.#store, 'overlay')], { reject: false });
    await execa('umount', ['--recursive', this.#runRoot], { reject: false });
    await rm(this.#runRoot, { recursive: true, force: true });
  }

  async #exec(args: readonly string[], timeout = runTimeoutMs): Promise<string> {
    const [program, ...first] = this.command;
    const end = await execa(program, [...first, ...args], { timeout, reject: false, all: true });
    if (!end.failed) return end.stdout;
    throw new Error(`podman ${args[0] ?? ''} failed (${String(end.exitCode)}):\n${end.all.slice(-4_000)}`);
  }
}

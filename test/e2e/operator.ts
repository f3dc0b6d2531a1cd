import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

export interface OperatorOptions {
  /** A place for the values, which hold keys. */
  readonly directory: string;
  readonly kubeconfig: string;
  /** The program kubectl. */
  readonly kubectl: string;
  readonly helm: string;
  /** The directory of the chart. */
  readonly chart: string;
  readonly signal: AbortSignal;
}

const release = 'cuttle';
export const namespace = 'cuttle';
const waitMs = 300_000;
const askMs = 60_000;

/** Who installs and upgrades Cuttle, with kubectl and helm as docs/install.md says it. */
export class Operator {
  readonly #options: OperatorOptions;

  constructor(options: OperatorOptions) {
    this.#options = options;
  }

  /** @throws with what kubectl has said. @returns its stdout. */
  async kubectl(args: readonly string[], input?: string): Promise<string> {
    return await this.#run(this.#options.kubectl, [...args], askMs, input);
  }

  /** The same in the driver's namespace. */
  async inNamespace(...args: string[]): Promise<string> {
    return await this.kubectl(['--namespace', namespace, ...args]);
  }

  async createNamespace(): Promise<void> {
    await this.kubectl(['create', 'namespace', namespace]);
    // As docs/install.md has it: the node's pods mount, on the node's network.
    await this.kubectl(['label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=privileged']);
  }

  /** Installs the chart, or changes what is installed, and waits until all of it is ready. */
  async upgrade(values: Readonly<Record<string, unknown>>): Promise<void> {
    const file = join(this.#options.directory, 'values.yaml');
    await writeFile(file, JSON.stringify(values), { mode: 0o600 }); // YAML as well
    const waiting = ['--wait', '--timeout', `${waitMs / 1_000}s`];
    const where = ['--install', release, this.#options.chart, '--namespace', namespace];
    await this.#helm(['upgrade', ...where, '--values', file, ...waiting], waitMs + askMs);
  }

  async uninstall(): Promise<void> {
    const waiting = ['--wait', '--timeout', `${waitMs / 1_000}s`];
    await this.#helm(['uninstall', release, '--namespace', namespace, ...waiting], waitMs + askMs);
  }

  /** The chart's objects as YAML, of another release and with the values of a file. */
  async render(name: string, valuesFile: string, ...more: string[]): Promise<string> {
    const values = ['--values', valuesFile, ...more];
    return await this.#helm(['template', name, this.#options.chart, '--namespace', namespace, ...values], askMs);
  }

  async #helm(args: string[], timeout: number): Promise<string> {
    return await this.#run(this.#options.helm, args, timeout);
  }

  async #run(program: string, args: string[], timeout: number, input = ''): Promise<string> {
    const { kubeconfig, directory, signal } = this.#options;
    const env = { KUBECONFIG: kubeconfig, HOME: directory };
    const end = await execa(program, args, { env, timeout, cancelSignal: signal, input, reject: false });
    if (!end.failed) return end.stdout;
    throw new Error(`${args.slice(0, 3).join(' ')}: ${end.stderr.slice(-3_000)}`, { cause: end });
  }
}

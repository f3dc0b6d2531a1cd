import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestCluster } from '../test/harness/cluster.js';
import type { Driver } from '../test/harness/driver.js';
import type { CreateOptions, NodeOptions } from '../test/harness/requests.js';
import { Rpc } from '../test/integration/rpc.js';
import type { DemoSteps } from './demo-steps.js';

export interface DemoContext {
  readonly steps: DemoSteps;
  readonly cluster: TestCluster;
  readonly driver: Driver;
  /** Everything of the demo lies below. */
  readonly directory: string;
}

export type Secrets = Readonly<Record<string, string>>;

export interface DemoVolumeOptions {
  readonly name: string;
  readonly secrets: Secrets;
  readonly create?: CreateOptions;
  readonly node?: NodeOptions;
}

/** One volume of the demo: the RPCs of its life, with its user's secrets, as Kubernetes calls them. */
export class DemoVolume {
  readonly #rpc: Rpc;
  readonly #directory: string;
  readonly #options: DemoVolumeOptions;
  #id = '';

  constructor({ driver, directory }: DemoContext, options: DemoVolumeOptions) {
    this.#rpc = new Rpc(() => driver);
    this.#directory = join(directory, options.name);
    this.#options = options;
  }

  /** What the driver calls it; '' before create(). */
  get id(): string {
    return this.#id;
  }

  /** Where a pod sees it. */
  target(pod = 'pod'): string {
    return join(this.#directory, pod);
  }

  async create(): Promise<string> {
    const { name, secrets, create } = this.#options;
    this.#id = (await this.#rpc.create(name, { ...create, secrets })).id;
    return this.#id;
  }

  async stage(): Promise<void> {
    await mkdir(this.#staging, { recursive: true });
    await this.#rpc.stage(this.#id, this.#staging, { ...this.#options.node, secrets: this.#options.secrets });
  }

  async publish(pod?: string): Promise<void> {
    await this.#rpc.publish(this.#id, this.#staging, this.target(pod), this.#options.node);
  }

  async unpublish(pod?: string): Promise<void> {
    await this.#rpc.unpublish(this.#id, this.target(pod));
  }

  async unstage(): Promise<void> {
    await this.#rpc.unstage(this.#id, this.#staging);
  }

  async attach(): Promise<void> {
    await this.stage();
    await this.publish();
  }

  async detach(): Promise<void> {
    await this.unpublish();
    await this.unstage();
  }

  /** ControllerExpandVolume. @returns whether NodeExpandVolume has to follow. */
  async grow(sizeBytes: bigint): Promise<boolean> {
    return (await this.#rpc.expand(this.#id, sizeBytes, 0n, this.#options.secrets)).needsNode;
  }

  async growOnNode(sizeBytes: bigint): Promise<void> {
    await this.#rpc.expandNode(this.#id, this.target(), sizeBytes);
  }

  /** @returns the snapshot's id. */
  async snapshot(name: string): Promise<string> {
    return (await this.#rpc.snapshot(name, this.#id, this.#options.secrets)).id;
  }

  async deleteSnapshot(id: string): Promise<void> {
    await this.#rpc.deleteSnapshot(id, this.#options.secrets);
  }

  /** NodeGetVolumeStats, in words. */
  async usage(): Promise<string> {
    const bytes = (await this.#rpc.stats(this.#id, this.target())).find(({ unit }) => unit === 'BYTES');
    if (bytes === undefined) throw new Error('NodeGetVolumeStats says nothing about bytes');
    return `${inMib(bytes.used)} of ${inMib(bytes.total)} used`;
  }

  async delete(): Promise<void> {
    await this.#rpc.delete(this.#id, this.#options.secrets);
  }

  get #staging(): string {
    return join(this.#directory, 'staging');
  }
}

export const mib = 1n << 20n;
export const gib = 1n << 30n;

export function inMib(bytes: bigint): string {
  return `${String(bytes / mib)} MiB`;
}

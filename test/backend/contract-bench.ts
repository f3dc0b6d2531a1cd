import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { csi } from '../../src/csi/gen/csi.js';
import type { NodeOptions } from '../harness/requests.js';
import type { Volume } from '../integration/answers.js';
import type { Rpc } from '../integration/rpc.js';
import type { Site } from '../integration/site.js';
import type { VolumeLife } from '../integration/volume-life.js';

export type ModeName = Parameters<BackendUnderTest['capabilities']['of']>[0];

/** One way of using a backend, which the whole contract is run for. */
export interface BackendUnderTest {
  /** e.g. `rbd mount ext4` */
  readonly name: string;
  /** Of a StorageClass. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Like `parameters`, but for a volume that differs. */
  readonly otherParameters: Readonly<Record<string, string>>;
  readonly sizeBytes: bigint;
  /** For ControllerModifyVolume: `second` changes some of what `first` sets. */
  readonly mutable: {
    readonly first: Readonly<Record<string, string>>;
    readonly second: Readonly<Record<string, string>>;
    /** With what the refusal says. */
    readonly impossible: readonly (readonly [Readonly<Record<string, string>>, RegExp])[];
    /** What Ceph itself has, under the parameters' names; those that are not set are left out. */
    readonly read: (volumeId: string) => Promise<Record<string, string>>;
  };
  readonly capabilities: {
    readonly access: 'mount' | 'block';
    readonly of: (mode: 'SINGLE_NODE_WRITER' | WriterMode | ReaderMode) => csi.v1.VolumeCapability;
    /** A capability that the backend can never serve. */
    readonly impossible: csi.v1.VolumeCapability;
  };
  /** Tests that can't hold here, by title, with the reason. */
  readonly skips: Readonly<Record<string, string>>;
}

type WriterMode = 'SINGLE_NODE_SINGLE_WRITER' | 'SINGLE_NODE_MULTI_WRITER';
type ReaderMode = 'SINGLE_NODE_READER_ONLY' | 'MULTI_NODE_READER_ONLY';

export type Check = (t: Test, bench: Bench) => Promise<void>;
export type Checks = Readonly<Record<string, Check>>;

/** What every check of the contract works with. */
export class Bench {
  readonly site: Site;
  readonly backend: BackendUnderTest;
  readonly life: VolumeLife;

  constructor(t: Test, site: Site, backend: BackendUnderTest) {
    this.site = site;
    this.backend = backend;
    this.life = site.life(t);
  }

  get rpc(): Rpc {
    return this.life.rpc;
  }

  get createOptions() {
    const { parameters, sizeBytes, capabilities } = this.backend;
    return { parameters, requiredBytes: sizeBytes, capabilities: [capabilities.of('SINGLE_NODE_WRITER')] };
  }

  async create(name?: string): Promise<Volume> {
    return this.life.create({ ...this.createOptions, ...(name === undefined ? {} : { name }) });
  }

  use(volume: Volume, mode: ModeName = 'SINGLE_NODE_WRITER'): NodeOptions {
    return { capability: this.backend.capabilities.of(mode), context: volume.context };
  }

  /** Puts a text into the published volume, down to the disk. */
  async write(target: string, text: string): Promise<void> {
    const isBlock = this.backend.capabilities.access === 'block';
    const file = await open(isBlock ? target : join(target, 'data'), isBlock ? 'r+' : 'w');
    try {
      await file.write(Buffer.from(text.padEnd(blockBytes, ' ')), 0, blockBytes, 0);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async read(target: string): Promise<string> {
    if (this.backend.capabilities.access === 'mount') return (await readFile(join(target, 'data'), 'utf8')).trimEnd();
    const file = await open(target, 'r');
    try {
      const { buffer } = await file.read(Buffer.alloc(blockBytes), 0, blockBytes, 0);
      return buffer.toString('utf8').trimEnd();
    } finally {
      await file.close();
    }
  }

  /** The errno's name with which writing is refused; undefined when it isn't. */
  async writeRefusal(target: string): Promise<string | undefined> {
    try {
      await this.write(target, 'must not be written');
      return undefined;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
  }
}

const blockBytes = 4096;

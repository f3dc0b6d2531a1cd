import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { csi } from '../../src/csi/gen/csi.js';
import { call, type Driver } from '../harness/driver.js';
import {
  attachRequest,
  createRequest,
  deleteRequest,
  detachRequest,
  publishRequest,
  stageRequest,
  unpublishRequest,
  unstageRequest,
} from '../harness/requests.js';
import { converge } from '../ground/converge.js';
import type { VolumeKind } from '../ground/ground.js';
import { Offspring, type OffspringOperation, volumeBytes } from './offspring.js';
import type { Random } from '../ground/random.js';

export type State = 'absent' | 'created' | 'attached' | 'staged' | 'published';
export type Operation =
  | OffspringOperation
  | 'CreateVolume'
  | 'DeleteVolume'
  | 'ControllerPublishVolume'
  | 'ControllerUnpublishVolume'
  | 'NodeStageVolume'
  | 'NodeUnstageVolume'
  | 'NodePublishVolume'
  | 'NodeUnpublishVolume';

type OwnOperation = Exclude<Operation, OffspringOperation>;

/** What may come next, and where it leads. */
const next: Readonly<Record<State, readonly (readonly [OwnOperation, State])[]>> = {
  absent: [['CreateVolume', 'created']],
  created: [
    ['ControllerPublishVolume', 'attached'],
    ['DeleteVolume', 'absent'],
  ],
  attached: [
    ['NodeStageVolume', 'staged'],
    ['ControllerUnpublishVolume', 'created'],
  ],
  staged: [
    ['NodePublishVolume', 'published'],
    ['NodeUnstageVolume', 'attached'],
  ],
  published: [['NodeUnpublishVolume', 'staged']],
};

/** The way back to nothing. */
const backwards: Readonly<Record<Exclude<State, 'absent'>, readonly [Operation, State]>> = {
  published: ['NodeUnpublishVolume', 'staged'],
  staged: ['NodeUnstageVolume', 'attached'],
  attached: ['ControllerUnpublishVolume', 'created'],
  created: ['DeleteVolume', 'absent'],
};

/** The driver's own. */
const node = 'test-node';

const withinMs = 60_000;

/** One volume that goes through its life while the driver is killed again and again. */
export class VolumeLife {
  readonly name: string;
  state: State = 'absent';
  #pending: readonly [Operation, State] | undefined;
  #marker: string | undefined;
  #generation = 0;
  #readOnly = false;
  readonly #kind: VolumeKind;
  readonly #id: string;
  readonly #staging: string;
  readonly #target: string;
  readonly offspring: Offspring;

  constructor(name: string, kind: VolumeKind, directory: string) {
    this.name = name;
    this.#kind = kind;
    this.#id = kind.idOf(name);
    this.#staging = join(directory, `${name}-staging`);
    this.#target = join(directory, `${name}-target`);
    this.offspring = new Offspring(name, kind);
  }

  get stagingPath(): string {
    return this.#staging;
  }

  get targetPath(): string {
    return this.#target;
  }

  get id(): string {
    return this.#id;
  }

  get kind(): string {
    return this.#kind.name;
  }

  /** The image or directory. */
  get object(): string {
    return this.#kind.objectOf(this.name);
  }

  /** What is chosen next, for messages. */
  get pending(): Operation | undefined {
    return this.#pending?.[0];
  }

  /** Every other time something is done with what is made of the volume, if there is anything to do. */
  choose(random: Random): Operation {
    const offspring = this.offspring.possible(this.state !== 'absent');
    const own = random.next() < 0.5 || offspring.length === 0;
    this.#pending = own ? random.pick(next[this.state]) : [random.pick(offspring), this.state];
    // Only what is written once can be read back: the first publish of a volume is for writing.
    if (this.#pending[0] === 'NodePublishVolume') this.#readOnly = this.#marker !== undefined && random.next() < 0.5;
    return this.#pending[0];
  }

  /** Sends the chosen request once; the driver may die meanwhile, and the answer is then nobody's. */
  async send(driver: Driver): Promise<void> {
    if (this.#pending !== undefined) await this.#call(driver, this.#pending[0]).catch(() => undefined);
  }

  /** Sends the same request to the restarted driver until it is answered; the answer must be right. */
  async repeat(driver: Driver): Promise<void> {
    if (this.#pending === undefined) return;
    const [operation, state] = this.#pending;
    await this.#converge(driver, operation);
    this.#pending = undefined;
    this.state = state;
    if (isOffspring(operation)) this.offspring.done(operation);
    if (operation === 'DeleteVolume') this.offspring.orphaned();
    await this.#checkData(operation);
  }

  async unwind(driver: Driver): Promise<void> {
    for (let last = this.offspring.last; last !== undefined; last = this.offspring.last) {
      await this.#converge(driver, last);
      this.offspring.done(last);
    }
    while (this.state !== 'absent') {
      const [operation, state] = backwards[this.state];
      await this.#converge(driver, operation);
      this.state = state;
    }
  }

  async #converge(driver: Driver, operation: Operation): Promise<void> {
    // A client that died without closing the image is forgotten after 30 s; the orchestrator repeats meanwhile.
    const also = this.#kind.hasWatchers && operation.startsWith('DeleteVolume') ? [status.FAILED_PRECONDITION] : [];
    const what = `${operation} of ${this.name}`;
    await converge(async () => this.#call(driver, operation), { what, withinMs, also });
  }

  async #call(driver: Driver, operation: Operation): Promise<void> {
    if (isOffspring(operation)) {
      await this.offspring.ask(driver, operation);
      return;
    }
    const { capability, parameters } = this.#kind;
    switch (operation) {
      case 'CreateVolume': {
        const request = createRequest(this.name, {
          parameters,
          requiredBytes: volumeBytes,
          capabilities: [capability],
        });
        const reply = await call<csi.v1.CreateVolumeResponse>((done) => driver.controller.CreateVolume(request, done));
        if (reply.volume?.volume_id !== this.#id)
          throw new Error(
            `CreateVolume of ${this.name} answered ${reply.volume?.volume_id ?? 'nothing'}, not ${this.#id}`,
          );
        return;
      }
      case 'DeleteVolume':
        await call((done) => driver.controller.DeleteVolume(deleteRequest(this.#id), done));
        return;
      case 'ControllerPublishVolume': {
        const request = attachRequest(this.#id, node, { capability });
        const reply = await call<csi.v1.ControllerPublishVolumeResponse>((done) =>
          driver.controller.ControllerPublishVolume(request, done),
        );
        // It was always unstaged before: nobody has had to be shut out.
        if (reply.publish_context.has('fencedClients'))
          throw new Error(`the publish_context of ${this.name} is ${JSON.stringify([...reply.publish_context])}`);
        return;
      }
      case 'ControllerUnpublishVolume':
        await call((done) => driver.controller.ControllerUnpublishVolume(detachRequest(this.#id, node), done));
        return;
      case 'NodeStageVolume':
        await call((done) => driver.node.NodeStageVolume(stageRequest(this.#id, this.#staging, { capability }), done));
        return;
      case 'NodeUnstageVolume':
        await call((done) => driver.node.NodeUnstageVolume(unstageRequest(this.#id, this.#staging), done));
        return;
      case 'NodePublishVolume':
        await mkdir(join(this.#target, '..'), { recursive: true });
        await call((done) =>
          driver.node.NodePublishVolume(
            publishRequest(this.#id, this.#staging, this.#target, { capability, readOnly: this.#readOnly }),
            done,
          ),
        );
        return;
      case 'NodeUnpublishVolume':
        await call((done) => driver.node.NodeUnpublishVolume(unpublishRequest(this.#id, this.#target), done));
        return;
    }
  }

  /** What an application wrote is there whenever the volume is published: nothing was formatted a second time. */
  async #checkData(operation: Operation): Promise<void> {
    if (operation === 'DeleteVolume') this.#marker = undefined;
    if (this.state !== 'published') return;
    const file = join(this.#target, 'marker');
    if (this.#marker === undefined) {
      this.#marker = `${this.name} generation ${++this.#generation}`;
      await writeFile(file, this.#marker, { flush: true });
      await this.#kind.furnish?.(this.#target);
      return;
    }
    const read = await readFile(file, 'utf8').catch((error: unknown) => String(error));
    if (read !== this.#marker) {
      throw new Error(`the data of ${this.name} is lost: "${read}" instead of "${this.#marker}"`);
    }
    const writable = await open(file, 'r+').then(
      async (handle) => handle.close().then(() => true),
      () => false,
    );
    if (writable === this.#readOnly) {
      throw new Error(`${this.name} is published ${writable ? 'for writing' : 'read-only'}, not as asked`);
    }
  }
}

function isOffspring(operation: Operation): operation is OffspringOperation {
  return !Object.values(next).some((steps) => steps.some(([own]) => own === operation));
}

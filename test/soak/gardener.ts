import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { converge, mayBeRepeated } from '../ground/converge.js';
import type { Random } from '../ground/random.js';
import { blockCapability } from '../harness/requests.js';
import type { Rpc } from '../integration/rpc.js';
import type { Forest, Operation, Step, Thing } from './forest.js';
import type { Seat } from './seat.js';

const sizeBytes = 16n << 20n;
const deadlineMs = 60_000;
/** A deadline is kept when the answer comes not much later. */
const graceMs = 3_000;
const withinMs = 150_000;

export interface Notes {
  readonly problems: string[];
  /** How often each operation was done. */
  readonly done: Map<Operation, number>;
  /** How often the first answer was one to be repeated. */
  repeated: number;
  slowestMs: number;
}

export function newNotes(): Notes {
  return { problems: [], done: new Map(), repeated: 0, slowestMs: 0 };
}

/** Does what is to be done in a forest, and sees to it that every answer is right. */
export class Gardener {
  readonly notes: Notes;
  readonly #seat: Seat;
  readonly #forest: Forest;
  readonly #random: Random;
  readonly #directory: string;
  readonly #prefix: string;
  #count = 0;

  constructor(seat: Seat, forest: Forest, random: Random, directory: string, prefix: string) {
    this.notes = newNotes();
    this.#seat = seat;
    this.#forest = forest;
    this.#random = random;
    this.#directory = directory;
    this.#prefix = prefix;
  }

  /** What is wrong is noted, not thrown: the others go on. */
  async carryOut(step: Step): Promise<void> {
    const { operation, on } = step;
    const isEnd = operation === 'DeleteVolume' || operation === 'DeleteSnapshot';
    if (on !== undefined && isEnd) this.#forest.take(on);
    if (on !== undefined) {
      on.users += 1;
      on.isHeld ||= operation === 'ControllerExpandVolume' || operation === 'stage and unstage';
    }
    try {
      await this.#work(step);
      this.notes.done.set(operation, (this.notes.done.get(operation) ?? 0) + 1);
    } catch (error) {
      this.notes.problems.push(error instanceof Error ? error.message : String(error));
    } finally {
      if (on !== undefined) {
        on.users -= 1;
        on.isHeld &&= on.users > 0;
      }
    }
  }

  async #work(step: Step): Promise<void> {
    const { operation, ground, on } = step;
    if (operation === 'ListVolumes' || operation === 'ListSnapshots') {
      const list = async (rpc: Rpc) => (operation === 'ListVolumes' ? rpc.list() : rpc.listSnapshots());
      await this.#ask(step, 'everything', list);
      return;
    }
    if (operation === 'CreateVolume' || operation === 'restore' || operation === 'clone') {
      await this.#create(step);
      return;
    }
    if (on === undefined) throw new Error(`${operation} of nothing`);
    switch (operation) {
      case 'CreateSnapshot':
        await this.#snapshot(step, on);
        return;
      case 'ControllerExpandVolume': {
        const bytes = on.bytes + (4n << 20n);
        const grown = await this.#ask(step, on.name, async (rpc) => rpc.expand(on.id, bytes));
        if (grown.bytes < bytes) throw new Error(`${on.name} has ${grown.bytes} bytes after it grew to ${bytes}`);
        // Its last block lies elsewhere now.
        on.bytes = grown.bytes;
        await ground.write(on.name, on.content);
        return;
      }
      case 'DeleteVolume':
        await this.check(on);
        await this.#ask(step, on.name, async (rpc) => rpc.delete(on.id));
        return;
      case 'DeleteSnapshot':
        await this.#ask(step, on.name, async (rpc) => rpc.deleteSnapshot(on.id));
        return;
      case 'stage and unstage':
        await this.#stage(step, on);
    }
  }

  /** What was written when it was made is there, whatever has become of what it was made of. */
  async check({ kind, ground, name, content }: Thing): Promise<void> {
    if (kind === 'snapshot') return;
    const found = await ground.read(name).catch((error: unknown) => String(error));
    if (found !== content) throw new Error(`${ground.kind.name} volume ${name} holds "${found}", not "${content}"`);
  }

  async #create(step: Step): Promise<void> {
    const { ground, on } = step;
    const name = this.#name('volume');
    const { parameters, capability } = ground.kind;
    const bytes = on?.bytes ?? sizeBytes;
    const options = {
      parameters,
      requiredBytes: bytes,
      capabilities: [capability],
      ...(on === undefined ? {} : { source: on.kind === 'snapshot' ? { snapshot: on.id } : { volume: on.id } }),
    };
    const volume = await this.#ask(step, name, async (rpc) => rpc.create(name, options));
    if (volume.id !== ground.kind.idOf(name)) throw new Error(`CreateVolume of ${name} answered ${volume.id}`);
    const depth = (on?.depth ?? 0) + 1;
    const made: Thing = {
      ...{ kind: 'volume', ground, name, source: on, depth, id: volume.id, users: 0, isHeld: false },
      content: on?.content ?? '',
      bytes: volume.bytes,
    };
    if (on !== undefined) await this.check(made);
    if (on === undefined || this.#random.next() < 0.5) {
      made.content = `${name} at depth ${depth}`;
      await ground.write(name, made.content);
    }
    this.#forest.add(made);
  }

  async #snapshot(step: Step, on: Thing): Promise<void> {
    const name = this.#name('snapshot');
    const { content, bytes, depth, ground } = on;
    const snapshot = await this.#ask(step, name, async (rpc) => {
      const answer = await rpc.snapshot(name, on.id);
      if (!answer.ready) throw Object.assign(new Error('not ready'), { code: status.ABORTED, details: 'not ready' });
      return answer;
    });
    this.#forest.add({
      kind: 'snapshot',
      ground,
      name,
      source: on,
      depth,
      id: snapshot.id,
      content,
      bytes,
      users: 0,
      isHeld: false,
    });
  }

  async #stage(step: Step, on: Thing): Promise<void> {
    const path = join(this.#directory, `${on.name}-staging`);
    await mkdir(path, { recursive: true });
    const { capability } = on.ground.kind;
    // What an image holds here is no file system: it is staged as the block device that it is.
    const use =
      on.ground.kind.name === 'rbd' ? { capability: blockCapability('SINGLE_NODE_MULTI_WRITER') } : { capability };
    await this.#ask(step, on.name, async (rpc) => rpc.stage(on.id, path, use));
    await this.#ask(step, on.name, async (rpc) => rpc.unstage(on.id, path));
  }

  /** The first answer must come in time, and be one that ends it or says to repeat it; then it is repeated until it ends. */
  async #ask<T>({ operation, ground }: Step, name: string, call: (rpc: Rpc) => Promise<T>): Promise<T> {
    const what = `${operation} of ${ground.kind.name} ${name}`;
    // A client that died without closing the image is forgotten after 30 s.
    const also = ground.kind.hasWatchers && this.#seat.kills > 0 ? [status.FAILED_PRECONDITION] : [];
    const timed = async (): Promise<T> => {
      const rpc = await this.#seat.rpc(deadlineMs);
      const startMs = performance.now();
      try {
        return await call(rpc);
      } catch (error) {
        if (mayBeRepeated.has((error as { code?: number }).code ?? -1)) this.notes.repeated += 1;
        throw error;
      } finally {
        const ms = performance.now() - startMs;
        this.notes.slowestMs = Math.max(this.notes.slowestMs, ms);
        if (ms > deadlineMs + graceMs) this.notes.problems.push(`${what} was answered after ${ms.toFixed(0)} ms`);
      }
    };
    return converge(timed, { what, withinMs, also });
  }

  #name(kind: string): string {
    this.#count += 1;
    return `${this.#prefix}-${kind}-${this.#count}`;
  }
}

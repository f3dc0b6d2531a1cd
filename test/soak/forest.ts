import type { Ground } from '../ground/ground.js';
import type { Random } from '../ground/random.js';

/** A volume or a snapshot that the driver has been asked for. */
export interface Thing {
  readonly kind: 'volume' | 'snapshot';
  readonly ground: Ground;
  readonly name: string;
  /** What it was made of; it may be gone since. */
  readonly source: Thing | undefined;
  /** Volumes in a row, this one included. */
  readonly depth: number;
  /** Set when it is there. */
  id: string;
  /** What is written in it. */
  content: string;
  bytes: bigint;
  /** Operations under way that read it. */
  users: number;
  /** One of them wants it for itself. */
  isHeld: boolean;
}

export type Operation =
  | 'CreateVolume'
  | 'CreateSnapshot'
  | 'restore'
  | 'clone'
  | 'ControllerExpandVolume'
  | 'DeleteVolume'
  | 'DeleteSnapshot'
  | 'ListVolumes'
  | 'ListSnapshots'
  | 'stage and unstage';

/** One thing to do; `on` is the source of what is made, or what is worked on. */
export interface Step {
  readonly operation: Operation;
  readonly ground: Ground;
  readonly on: Thing | undefined;
}

/** How often which operation is drawn. */
export type Weights = Readonly<Partial<Record<Operation, number>>>;

/** Trees of volumes, their snapshots, and what is made of both. Whatever CSI allows may happen, deletion of parents before children too. */
export class Forest {
  readonly #things = new Set<Thing>();
  readonly #grounds: readonly Ground[];
  readonly #depth: number;

  constructor(grounds: readonly Ground[], depth: number) {
    this.#grounds = grounds;
    this.#depth = depth;
  }

  /** Volumes first, in the order in which they were made. */
  get things(): readonly Thing[] {
    return [...this.#things];
  }

  add(thing: Thing): void {
    this.#things.add(thing);
  }

  /** From here on nobody chooses it. */
  take(thing: Thing): void {
    this.#things.delete(thing);
  }

  /** undefined when nothing that was drawn is possible at this moment. */
  choose(random: Random, weights: Weights): Step | undefined {
    const operation = draw(random, weights);
    const ground = random.pick(this.#grounds);
    if (operation === 'CreateVolume' || operation.startsWith('List')) return { operation, ground, on: undefined };
    const candidates = this.things.filter((thing) => thing.ground === ground && this.#allows(operation, thing));
    if (candidates.length === 0) return undefined;
    const deepest = candidates.reduce((a, b) => (b.depth > a.depth ? b : a));
    // Every other tree grows in height.
    const on = operation === 'clone' && random.next() < 0.5 ? deepest : random.pick(candidates);
    return { operation, ground, on };
  }

  #allows(operation: Operation, thing: Thing): boolean {
    if (thing.isHeld) return false;
    const isVolume = thing.kind === 'volume';
    if (operation === 'clone') return isVolume && thing.depth < this.#depth;
    if (operation === 'restore') return !isVolume && thing.depth < this.#depth;
    if (operation === 'CreateSnapshot') return isVolume;
    return isVolume === (operation !== 'DeleteSnapshot') && thing.users === 0;
  }
}

function draw(random: Random, weights: Weights): Operation {
  const entries = Object.entries(weights) as [Operation, number][];
  let left = random.next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [operation, weight] of entries) {
    left -= weight;
    if (left < 0) return operation;
  }
  return 'CreateVolume';
}

import pino from 'pino';
import type { CephAccess, CephClient, CephPool, DirectoryCreation, ImageCreation } from '../../src/ceph/client.js';
import { isCephError } from '../../src/ceph/ceph-error.js';
import { DriverError } from '../../src/domain/errors.js';
import type { CallContext } from '../../src/platform/call-context.js';

/** What the contract's suites need of an implementation of CephClient and of the cluster behind it. */
export interface ContractSubject {
  readonly client: CephClient;
  readonly access: CephAccess;
  readonly fsid: string;
  /** The name of a CephFS file system that is served. */
  readonly fileSystem: string;
  /** A pool of the test's own, ready for RBD; removed with the subject. @returns its name. */
  createPool(): Promise<string>;
  deletePool(name: string): Promise<void>;
  /** The pool's second life under the same name. */
  createPoolAgain(name: string): Promise<void>;
  createNamespace(pool: string, namespace: string): Promise<void>;
  /** Opens the image for writing as another client. @returns what closes it. */
  openElsewhere(pool: string, image: string): Promise<() => Promise<void>>;
  /** Another client of the same cluster, closed with the subject. */
  anotherClient(): CephClient;
  /** Removes an object behind the client's back. */
  removeObject(pool: string, object: string): Promise<void>;
}

export type MakeSubject = () => Promise<ContractSubject>;

export const silentLog = pino({ level: 'silent' });

/** An RPC's context; with a deadline, aborted as the interceptor does it. */
export function context(deadlineMs?: number): CallContext {
  const controller = new AbortController();
  if (deadlineMs !== undefined) {
    setTimeout(() => {
      controller.abort(new DriverError('DEADLINE_EXCEEDED', 'the deadline has passed'));
    }, deadlineMs);
  }
  return { signal: controller.signal, log: silentLog, requestId: 'test' };
}

/** layering, exclusive-lock, object-map, fast-diff, deep-flatten. */
export const defaultFeatures = 61n;

export function creation(options: Partial<ImageCreation> = {}): ImageCreation {
  return { sizeBytes: 1n << 30n, features: defaultFeatures, ...options };
}

export function directory(options: Partial<DirectoryCreation> = {}): DirectoryCreation {
  return { mode: 0o755, attributes: new Map(), ...options };
}

export async function openPool(subject: ContractSubject, namespace = ''): Promise<CephPool> {
  const name = await subject.createPool();
  if (namespace !== '') await subject.createNamespace(name, namespace);
  const connection = await subject.client.connect(context(), subject.access);
  return connection.pool(context(), name, namespace);
}

export interface Failure {
  readonly code: string;
  readonly errno: number | undefined;
  readonly message: string;
}

/** What a call that is expected to fail fails with; throws when it succeeds. */
export async function failureOf(work: Promise<unknown>): Promise<Failure> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof DriverError)) throw error;
    return { code: error.code, errno: isCephError(error) ? error.errno : undefined, message: error.message };
  }
  throw new Error('the call succeeded and was expected to fail');
}

export function countedNames(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${String(i).padStart(5, '0')}`);
}

/** Runs the work for each item, so many at a time. */
export async function eachConcurrently<T>(
  items: readonly T[],
  concurrency: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const waiting = items.values();
  const worker = async () => {
    for (const item of waiting) await work(item);
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}

import { opendir } from 'node:fs/promises';
import { errno, isCephError } from '../../ceph/ceph-error.js';
import type { CephConnection, CephPool } from '../../ceph/client.js';
import { DriverError } from '../../domain/errors.js';
import type { CephfsVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { withDeadline } from '../../platform/deadline.js';
import { capabilityAdvice } from './capability-advice.js';
import { explainMountFailure } from './explain-mount-failure.js';

const listTimeoutMs = 10_000;
/** A full cluster or a silent OSD is no reason to refuse the volume: what has no answer by then is left open. */
const poolTimeoutMs = 5_000;
/** An object that nobody makes. */
const probe = 'cuttle.access-check';

export interface AccessCheck {
  readonly connection: CephConnection;
  readonly id: CephfsVolumeId;
  /** Where it has just been mounted. */
  readonly target: string;
  readonly forWriting: boolean;
  /** getxattr(2); undefined when there is none. */
  readonly readAttribute: (path: string, name: string) => Promise<string | undefined>;
}

/**
 * May the user that has mounted the directory read and write what is in it? Mounting takes the MDS's consent only: without OSD
 * capabilities every file operation fails later, in the pod, with an error that names nothing. Writes nothing.
 * @throws DriverError PERMISSION_DENIED with the command that helps.
 */
export async function checkAccess(ctx: CallContext, check: AccessCheck): Promise<void> {
  await checkMds(ctx, check);
  try {
    await withDeadline(checkPools(ctx, check), poolTimeoutMs, 'the access check');
  } catch (error) {
    if (error instanceof DriverError && error.code === 'PERMISSION_DENIED') throw error;
    ctx.log.warn({ err: error }, 'the access check of the data pool has no result');
  }
}

async function checkMds(ctx: CallContext, { connection, id, target }: AccessCheck): Promise<void> {
  try {
    const directory = await withDeadline(opendir(target), listTimeoutMs, `listing ${target}`);
    try {
      await withDeadline(directory.read(), listTimeoutMs, `listing ${target}`);
    } finally {
      void directory.close().catch(() => undefined);
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (error instanceof DriverError) throw error;
    if (!['EPERM', 'EACCES', 'EIO', 'ENOTDIR'].includes(code)) {
      throw new DriverError(
        'UNAVAILABLE',
        `the directory that was just mounted at ${target} can't be listed (${code}): see whether the MDS is up (ceph fs status); the request may be repeated`,
        { cause: error },
      );
    }
    const refusal = new DriverError(
      'PERMISSION_DENIED',
      `the volume is mounted but client.${connection.user} may not read its directory (${code}): its MDS capabilities don't allow it; allow it by: ${capabilityAdvice(id, connection.user)}`,
      { cause: error },
    );
    // ceph-fuse mounts a file as well; the kernel then sees EIO, or what it is when it has asked before.
    const mayBeFile = code === 'EIO' || code === 'ENOTDIR';
    throw mayBeFile ? await explainMountFailure(ctx, connection, id, refusal) : refusal;
  }
}

/** Refuses only when none of the pools that the directory's files may lie in is allowed. */
async function checkPools(ctx: CallContext, check: AccessCheck): Promise<void> {
  const { connection, id, forWriting } = check;
  const refusals: string[] = [];
  for (const { pool, namespace } of await dataPools(ctx, check)) {
    const refusal = await refusalOf(ctx, await connection.pool(ctx, pool, namespace), forWriting);
    if (refusal === undefined) return;
    refusals.push(`${refusal} pool "${pool}"${namespace === '' ? '' : `, namespace "${namespace}"`}`);
  }
  if (refusals.length === 0) return;
  throw new DriverError(
    'PERMISSION_DENIED',
    `the volume's directory can be mounted but client.${connection.user} may not ${refusals.join(' nor ')}, where its files lie: its OSD capabilities don't allow it; allow it by: ${capabilityAdvice(id, connection.user)}`,
  );
}

/** The directory's own layout; one that it inherits can't be seen below the mount, so then it may be any pool of the file system. */
async function dataPools(ctx: CallContext, check: AccessCheck): Promise<{ pool: string; namespace: string }[]> {
  const { connection, id, target, readAttribute } = check;
  const pool = await readAttribute(target, 'ceph.dir.layout.pool');
  if (pool !== undefined && pool !== '') {
    return [{ pool, namespace: (await readAttribute(target, 'ceph.dir.layout.pool_namespace')) ?? '' }];
  }
  const fs = (await connection.fileSystems(ctx)).find(({ name }) => name === id.fsName);
  return (fs?.dataPools ?? []).map((name) => ({ pool: name, namespace: '' }));
}

/** Reads an object that isn't there, and writes under a condition that doesn't hold: the OSD asks for permission first. */
async function refusalOf(ctx: CallContext, pool: CephPool, forWriting: boolean): Promise<string | undefined> {
  if (await isRefused(async () => pool.omap.get(ctx, probe, ['key']))) return 'read from';
  if (!forWriting) return undefined;
  const never = { expect: new Map([['key', 'no such value']]), set: new Map([['key', 'never set']]) };
  return (await isRefused(async () => pool.omap.update(ctx, probe, never))) ? 'write to' : undefined;
}

async function isRefused(attempt: () => Promise<unknown>): Promise<boolean> {
  try {
    await attempt();
    return false;
  } catch (error) {
    if (isCephError(error, errno.EPERM) || isCephError(error, errno.EACCES)) return true;
    // An erasure-coded pool has no object maps, and says so to those only who may ask.
    if (isCephError(error, errno.EOPNOTSUPP)) return false;
    throw error;
  }
}

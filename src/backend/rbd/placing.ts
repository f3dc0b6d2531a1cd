import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { CephPool } from '../../ceph/client.js';
import { DriverError, type ErrorCode, isDriverError } from '../../domain/errors.js';
import type { CallContext } from '../../platform/call-context.js';
import { parseWritten } from '../written-json.js';

/** In the pool that is first by name: a key for each image that is about to be made in one of several pools. */
const object = 'cuttle.placing';
/** How long whoever has decided on a pool may go on making the image there. */
const workMs = 45_000;
/** Clocks of controllers that differ. */
const slackMs = 15_000;

/** After these what was begun may still be done. */
const openCodes: readonly ErrorCode[] = ['ABORTED', 'UNAVAILABLE', 'DEADLINE_EXCEEDED', 'CANCELLED', 'INTERNAL'];

interface Intent {
  readonly pool: string;
  /** Until when others must not decide on another pool; since 1970. */
  readonly untilMs: number;
  /** Who has written it: several that chose the same pool may be at it. */
  readonly by: string;
}

export interface Placing {
  readonly home: CephPool;
  readonly image: string;
  /** The one that was decided on. */
  readonly pool: string;
  /** How long a call that was begun may still take effect. */
  readonly callMs: number;
}

/**
 * Makes an image in the pool that was decided on while nobody else can decide on another one. Cut off by a crash, the same
 * decision goes on at once, and another one can be taken when nothing of the first can take effect any more.
 * @param work its context ends in time for that
 * @throws DriverError ABORTED while another pool is decided on.
 */
export async function whilePlacing<T>(
  ctx: CallContext,
  { home, image, pool, callMs }: Placing,
  work: (ctx: CallContext) => Promise<T>,
): Promise<T> {
  const before = (await home.omap.get(ctx, object, [image])).get(image);
  const nowMs = Date.now();
  const intent = before === undefined ? undefined : parseIntent(before, image);
  if (intent !== undefined && intent.pool !== pool && intent.untilMs > nowMs) throw elsewhere(image, intent);
  const own = JSON.stringify({ pool, untilMs: nowMs + workMs + callMs + slackMs, by: randomUUID() } satisfies Intent);
  const expect = new Map([[image, before ?? '']]);
  if (!(await home.omap.update(ctx, object, { expect, set: new Map([[image, own]]) }))) throw contended(image);
  const aborter = new AbortController();
  const timer = setTimeout(() => {
    aborter.abort(contended(image));
  }, workMs);
  const forget = async () =>
    home.omap.update(ctx, object, { expect: new Map([[image, own]]), remove: [image] }).catch((error: unknown) => {
      ctx.log.debug({ err: error, image }, 'what was noted while the image was made stays for a while');
    });
  try {
    const signal = AbortSignal.any([ctx.signal, aborter.signal]);
    // Many pools are looked through at once.
    setMaxListeners(0, signal);
    const made = await work({ ...ctx, signal });
    await forget();
    return made;
  } catch (error) {
    // A refusal is an end, and another pool may be the way out of it; after anything else the decision stands until it has run out.
    if (isDriverError(error) && !openCodes.includes(error.code)) await forget();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function parseIntent(text: string, image: string): Intent {
  return parseWritten<Intent>(
    text,
    ({ pool, untilMs }) => typeof pool === 'string' && typeof untilMs === 'number',
    `key ${image} of object ${object} is not what Cuttle wrote: remove it (rados rmomapkey ${object} ${image})`,
  );
}

function elsewhere(image: string, { pool, untilMs }: Intent): DriverError {
  const seconds = Math.ceil((untilMs - Date.now()) / 1000);
  return new DriverError(
    'ABORTED',
    `image ${image} may just be being made in pool "${pool}", where an earlier request with other accessibility_requirements wanted it: repeat the request, in ${seconds} s at the latest that is decided`,
  );
}

function contended(image: string): DriverError {
  return new DriverError('ABORTED', `another request is making image ${image} at this moment: repeat the request`);
}

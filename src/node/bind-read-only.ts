import { createHash } from 'node:crypto';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cleanupMountPoint } from 'mount-utils-ts';
import type { CallContext } from '../platform/call-context.js';
import type { NodeDependencies } from './node-service.js';

const probeTimeoutMs = 3_000;

type Deps = Pick<NodeDependencies, 'mounter' | 'runDir'>;

/**
 * A read-only bind takes two steps (mount(8)), and a process killed between them would leave a writable one at the target.
 * So both steps happen at a place of our own; binding that place to the target is one step, and a bind inherits the flags.
 */
export async function bindReadOnly(ctx: CallContext, deps: Deps, source: string, target: string): Promise<void> {
  const aside = asideOf(deps, target);
  await cleanupMountPoint(aside, deps.mounter, { probeTimeoutMs });
  await mkdir(dirname(aside), { recursive: true, mode: 0o700 });
  if ((await stat(source)).isDirectory()) await mkdir(aside, { mode: 0o700 });
  else await writeFile(aside, '', { mode: 0o600 });
  try {
    await deps.mounter.bindMount(source, aside, { readOnly: true }, { signal: ctx.signal });
    await deps.mounter.bindMount(aside, target, {}, { signal: ctx.signal });
  } finally {
    await cleanupMountPoint(aside, deps.mounter, { probeTimeoutMs });
  }
}

/** What a killed bindReadOnly may have left. */
export async function clearAside(deps: Deps, target: string): Promise<void> {
  await cleanupMountPoint(asideOf(deps, target), deps.mounter, { probeTimeoutMs });
}

function asideOf(deps: Deps, target: string): string {
  return join(deps.runDir, 'publish', createHash('sha256').update(target).digest('hex').slice(0, 32));
}

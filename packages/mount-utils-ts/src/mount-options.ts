import type { MountInfo } from './mount-info.js';

/** The flags of one mount that a remount clears when they are not named again; see MS_REMOUNT in mount(2). */
const STICKY_FLAGS: ReadonlyMap<string, string> = new Map([
  ['ro', 'rw'],
  ['nosuid', 'suid'],
  ['nodev', 'dev'],
  ['noexec', 'exec'],
  ['nosymfollow', 'symfollow'],
]);

/**
 * The per-mount flags that `mounted` has and that a remount with `options` must repeat to keep, less those that
 * `options` names or takes back. The access time flags are not among them: mount(2) keeps those itself.
 */
export function flagsToKeep(mounted: MountInfo | undefined, options: readonly string[]): string[] {
  if (mounted === undefined) return [];
  const named = new Set(options);
  return mounted.mountOptions.filter((flag) => {
    const opposite = STICKY_FLAGS.get(flag);
    return opposite !== undefined && !named.has(flag) && !named.has(opposite);
  });
}

/** The options of a bind mount that say something about the mount itself, each once. */
export function bindFlags(options: readonly string[], readOnly: boolean): string[] {
  const own = options.filter((option) => !['bind', 'remount', 'defaults', ''].includes(option));
  if (!readOnly) return [...new Set(own)];
  return [...new Set(['ro', ...own.filter((option) => option !== 'rw')])];
}

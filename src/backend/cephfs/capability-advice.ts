import { dirname } from 'node:path';
import type { CephfsVolumeId } from '../../domain/volume-id.js';

/**
 * The command that gives a user what mounting this volume takes. It replaces the capabilities that the user has, and so
 * names the directory above: the user's other volumes are its siblings.
 */
export function capabilityAdvice(id: CephfsVolumeId, user: string): string {
  const above = dirname(id.path);
  const path = above === '/' ? id.path : above;
  const fs = id.fsName; // letters, digits and .-_ only (ceph fs new)
  const mds = path === '/' ? `allow rw fsname=${fs}` : `allow rw fsname=${fs} path=${inCapabilities(path)}`;
  const words = ['mon', `allow r fsname=${fs}`, 'mds', mds, 'osd', `allow rw tag cephfs data=${fs}`];
  return `ceph auth caps client.${user} ${words.map(quoted).join(' ')} (it replaces what the user has: ceph auth get client.${user}; one that also makes volumes needs rwps in place of mds' rw)`;
}

/** mds/MDSAuthCaps.cc: a path with other characters stands in quotes of either kind. */
function inCapabilities(path: string): string {
  if (/^[A-Za-z0-9_./-]+$/.test(path)) return path;
  return path.includes('"') ? `'${path}'` : `"${path}"`;
}

/** For a shell. */
function quoted(word: string): string {
  return /^[a-z]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

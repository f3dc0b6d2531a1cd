import { type CephCall, CephError, errno } from './ceph-error.js';

/** The part of `ceph mds stat` that is asked for. */
export interface MdsReport {
  readonly fsmap: {
    readonly filesystems: readonly {
      readonly mdsmap: {
        readonly fs_name: string;
        readonly info: Readonly<Record<string, MdsInfo>>;
      };
    }[];
  };
}

interface MdsInfo {
  readonly rank: number;
  readonly state: string;
  /** There only while the monitors have heard nothing of it for mds_beacon_grace (15 s). */
  readonly laggy_since?: string;
}

/**
 * libcephfs would wait, for as long as it takes, for a file system that has no MDS at work, or that the key may not see.
 * @throws CephError ENOENT (no such file system), ETIMEDOUT (none of its MDSs is active).
 */
export function checkServed(report: MdsReport, name: string, call: CephCall): void {
  const maps = report.fsmap.filesystems.map(({ mdsmap }) => mdsmap);
  const map = maps.find(({ fs_name }) => fs_name === name);
  if (map === undefined) {
    const names = maps.map(({ fs_name }) => `"${fs_name}"`).join(', ');
    throw new CephError(
      'NOT_FOUND',
      `file system "${name}" does not exist in cluster "${call.clusterId}"${names === '' ? '' : `, which has ${names}`}: correct fsName in the StorageClass or create it (ceph fs volume create ${name}); a key whose mon capability names another file system can't see it either`,
      errno.ENOENT,
    );
  }
  const ranks = Object.values(map.info).filter(({ rank }) => rank >= 0);
  if (ranks.some((mds) => mds.state === 'up:active' && mds.laggy_since === undefined)) return;
  const states = ranks.map((mds) => `rank ${mds.rank}: ${mds.state}${mds.laggy_since === undefined ? '' : ', laggy'}`);
  throw new CephError(
    'UNAVAILABLE',
    `file system "${name}" of cluster "${call.clusterId}" has no active MDS (${states.length === 0 ? 'none at all' : states.join('; ')}): check ceph fs status ${name}; the request may be repeated`,
    errno.ETIMEDOUT,
  );
}

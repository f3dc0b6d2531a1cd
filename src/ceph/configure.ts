import { cephxKeyObjection } from '../domain/cephx-key.js';
import { DriverError } from '../domain/errors.js';
import type { CephAccess } from './client.js';
import { type Pointer, type PointerOut, written } from './native/library.js';
import { librados } from './native/librados.js';

/** The value that librados holds for an option; '' when it has none. */
export function configured(cluster: Pointer, option: string): string {
  const buffer = Buffer.alloc(4096);
  if (librados().getConf.sync(cluster, option, buffer, buffer.length) < 0) return '';
  return buffer.toString('utf8', 0, buffer.indexOf(0));
}

/** Makes a configured, not yet connected handle. @throws DriverError naming the option or file that is wrong. */
export function configure(access: CephAccess): Pointer {
  const rados = librados();
  const out: PointerOut = [null];
  const objection = access.key === undefined ? undefined : cephxKeyObjection(access.key.reveal());
  if (objection !== undefined) {
    // Given an empty key, librados would take whatever the host's keyring holds.
    throw new DriverError(
      'UNAUTHENTICATED',
      `the key of client.${access.user} for cluster "${access.clusterId}" ${objection}; correct userKey in the Secret`,
    );
  }
  const returned = rados.create.sync(out, 'ceph', `client.${access.user}`, 0n);
  if (returned < 0) throw new DriverError('INTERNAL', `librados can't be initialised (${returned})`);
  const cluster = written(out);
  try {
    if (access.cephConf !== undefined) readCephConf(cluster, access.clusterId, access.cephConf);
    for (const [option, value] of settings(access)) {
      // The value may be a key: it is never part of the message.
      if (rados.setConf.sync(cluster, option, value) < 0) {
        throw new DriverError(
          'INVALID_ARGUMENT',
          `librados refuses the value of ${option} for cluster "${access.clusterId}"`,
        );
      }
    }
    if (configured(cluster, 'mon_host') === '') {
      throw new DriverError(
        'INVALID_ARGUMENT',
        `cluster "${access.clusterId}" has no monitors: set \`monitors\` or a cephConf with mon_host`,
      );
    }
    return cluster;
  } catch (error) {
    rados.shutdown.sync(cluster);
    throw error;
  }
}

function readCephConf(cluster: Pointer, clusterId: string, path: string): void {
  const returned = librados().readConf.sync(cluster, path);
  if (returned >= 0) return;
  throw new DriverError(
    'FAILED_PRECONDITION',
    `${path} can't be read as the ceph.conf of cluster "${clusterId}" (errno ${-returned}): create it, or list the cluster's monitors in the driver's --config file`,
  );
}

function* settings(access: CephAccess): Generator<[string, string]> {
  const seconds = (ms: number) => String(Math.max(1, Math.ceil(ms / 1000)));
  if (access.monitors !== undefined) yield ['mon_host', access.monitors];
  if (access.keyring !== undefined) yield ['keyring', access.keyring];
  if (access.key !== undefined) yield ['key', access.key.reveal()];
  yield ['client_mount_timeout', seconds(access.timeouts.connectMs)];
  yield ['rados_mon_op_timeout', seconds(access.timeouts.monMs)];
  yield ['rados_osd_op_timeout', seconds(access.timeouts.osdMs)];
  // A library inside the driver opens no sockets and no log files of its own.
  yield ['admin_socket', ''];
  yield ['log_file', ''];
  yield ['log_to_stderr', 'false'];
  yield ['err_to_stderr', 'false'];
  // Control-plane opens read no data worth caching.
  yield ['rbd_cache', 'false'];
  // libcephfs shares these settings (ceph_create_from_rados). What the MDS allows is for the key's capabilities to say: the
  // library's own check of owner and mode would keep us out of our users' directories.
  yield ['client_permissions', 'false'];
  yield ['fuse_default_permissions', 'true'];
  // Inodes kept in memory: the paths above the volumes, not the volumes.
  yield ['client_cache_size', '1024'];
  yield ['client_oc', 'false'];
  yield ['client_snapdir', '.snap'];
  // An evicted client stays out, so that whoever held a lock learns that it is lost: it is mounted anew.
  yield ['client_reconnect_stale', 'false'];
}

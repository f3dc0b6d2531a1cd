import type { MapRequest } from './mapper.js';
import type { Secret } from '../../platform/secret.js';

/** Where the cluster is; never the key. */
export function cephConf(request: MapRequest): string {
  const keyring = request.keyring === undefined ? '' : `keyring = ${request.keyring}\n`;
  return `[global]\nmon_host = ${request.monitors}\n${keyring}admin_socket =\nlog_file =\n`;
}

/**
 * qemu-storage-daemon(1). The key is descriptor 3; the passphrase of an encrypted image comes behind it, or is 3 where there is no key.
 * @param file what shows the image
 */
export function daemonArguments(request: MapRequest, file: string, conf: string): string[] {
  const { id, readOnly, user, key, encryption } = request;
  const blockdev = {
    driver: 'rbd',
    'node-name': 'image',
    pool: id.pool,
    ...(id.namespace === '' ? {} : { namespace: id.namespace }),
    image: id.image,
    user,
    conf,
    ...(key === undefined ? {} : { 'key-secret': 'key' }),
    'read-only': readOnly,
    discard: 'unmap',
    ...(encryption === undefined ? {} : { encrypt: { format: 'luks2', 'key-secret': 'passphrase' } }),
  };
  const fuse = {
    type: 'fuse',
    id: 'image',
    'node-name': 'image',
    mountpoint: file,
    writable: !readOnly,
    growable: !readOnly,
  };
  return [
    '--daemonize',
    ...(key === undefined ? [] : ['--object', 'secret,id=key,file=/dev/fd/3,format=base64']),
    ...(encryption === undefined ? [] : ['--object', `secret,id=passphrase,file=/dev/fd/${key === undefined ? 3 : 4}`]),
    '--blockdev',
    JSON.stringify(blockdev),
    '--export',
    JSON.stringify(fuse),
  ];
}

/** In the order of the descriptors that daemonArguments() names. */
export function daemonSecrets({ key, encryption }: MapRequest): Secret[] {
  return [key, encryption?.passphrase].filter((secret) => secret !== undefined);
}

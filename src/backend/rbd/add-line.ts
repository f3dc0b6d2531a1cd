import { kernelMonitors } from '../kernel-monitors.js';
import type { MapRequest } from './mapper.js';

/** So long libceph tries to reach a monitor (rbd(8), mount_timeout), unless the map options say otherwise. */
const mountTimeoutSeconds = 30;
/** What is written to a file of sysfs fits a page. */
const maxBytes = 4_000;

/** Map options that rbd(8) hands to the kernel as they are; the others it does something about. */
const flags = new Set([
  ...['share', 'noshare', 'crc', 'nocrc', 'tcp_nodelay', 'notcp_nodelay', 'abort_on_full', 'notrim', 'rxbounce'],
  ...['cephx_require_signatures', 'nocephx_require_signatures', 'cephx_sign_messages', 'nocephx_sign_messages'],
  ...['ro', 'rw', 'lock_on_read', 'exclusive'],
]);
const settings = new Set([
  ...['fsid', 'ip', 'mount_timeout', 'osdkeepalive', 'osd_idle_ttl', 'osd_request_timeout', 'lock_timeout'],
  ...['queue_depth', 'alloc_size', 'read_from_replica', 'crush_location', 'compression_hint', 'ms_mode'],
]);
/** They say whether the program waits for udev; the kernel makes the device by itself. */
const ofTheProgram = new Set(['udev', 'noudev']);

/** Addresses with a port or without, as the kernel reads them; it asks nobody for names. */
const address = /^(?:[0-9]+(?:\.[0-9]+){3}|\[[0-9a-f:.]+\])(?::[0-9]+)?$/i;

/**
 * What is written to add_single_major: `MONITORS OPTIONS POOL IMAGE -` (Linux, Documentation/ABI/testing/sysfs-bus-rbd).
 * @param keyName by which libceph finds the key: the key itself would be seen in config_info
 * @returns undefined when this can't be said so: then the program rbd has to do it, or to refuse it.
 */
export function addLine(request: MapRequest, keyName: string): string | undefined {
  const { id, user } = request;
  const options = request.options.filter((option) => !ofTheProgram.has(option));
  const monitors = monitorsFor(request.monitors, options);
  const words = [id.pool, id.image, id.namespace, user];
  if (monitors === undefined || !options.every(isPassedOn) || !words.every((word) => /^[^\s,]*$/.test(word)))
    return undefined;
  const all = [
    `name=${user}`,
    `key=${keyName}`,
    `mount_timeout=${mountTimeoutSeconds}`,
    ...monitors.options,
    ...(request.readOnly ? ['ro'] : []),
    ...options,
    ...(id.namespace === '' ? [] : [`_pool_ns=${id.namespace}`]),
  ];
  const line = `${monitors.addresses} ${all.join(',')} ${id.pool} ${id.image} -`;
  return Buffer.byteLength(line) > maxBytes ? undefined : line;
}

/** What is written to remove_single_major; undefined for options that only the program knows. */
export function removeLine(index: string, options: readonly string[]): string | undefined {
  const left = options.filter((option) => !ofTheProgram.has(option));
  if (left.some((option) => option !== 'force')) return undefined;
  return left.length === 0 ? index : `${index} force`;
}

function isPassedOn(option: string): boolean {
  const [name = '', value] = option.split(/=(.*)/s);
  if (!/^\S+$/.test(option)) return false;
  return value === undefined ? flags.has(name) : settings.has(name);
}

/** One messenger for all monitors; `undefined` where the program has to find out which they speak. */
function monitorsFor(
  monHost: string,
  options: readonly string[],
): { addresses: string; options: readonly string[] } | undefined {
  const asked = options.find((option) => option.startsWith('ms_mode='));
  const wantsV2 = asked !== undefined && asked !== 'ms_mode=legacy';
  const { addresses, v2 } = kernelMonitors(monHost, wantsV2);
  const list = addresses.split(',');
  if (!list.every((one) => address.test(one)) || (asked !== undefined && v2 !== wantsV2)) return undefined;
  if (v2) return { addresses, options: asked === undefined ? ['ms_mode=prefer-crc'] : [] };
  // Without a prefix, only the port says that this is a port of the second messenger.
  return list.some((one) => one.endsWith(':3300')) ? undefined : { addresses, options: [] };
}

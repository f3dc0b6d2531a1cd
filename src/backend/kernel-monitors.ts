/** Monitors as the kernel takes them: `host:port,host:port`, and the messenger that those ports speak. */
export interface KernelMonitors {
  readonly addresses: string;
  /** Ports of the messenger v2, which only Linux 5.11 and newer speak (`ms_mode`). */
  readonly v2: boolean;
}

/**
 * mon_host in the kernel's form: one address for each monitor. Its v1 one unless v2 is preferred or the only one.
 * (Ceph, common/options: `mon_host`; msg/msg_types: `[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0]`.)
 */
export function kernelMonitors(monHost: string, preferV2 = false): KernelMonitors {
  const monitors = (monHost.match(/\[(?=v[12]:)[^\s]*?\](?=[,;\s]|$)|[^,;\s]+/g) ?? []).map(addressesOf);
  const choose = (v2: boolean) => monitors.map((one) => (v2 ? one.v2 : one.v1));
  const v1 = choose(false);
  const v2 = choose(true);
  // One messenger for all of them: a list of both kinds would be half unreachable.
  const useV2 = (preferV2 && !v2.includes(undefined)) || v1.includes(undefined);
  const chosen = useV2 ? v2 : v1;
  return { addresses: chosen.filter((address) => address !== undefined).join(','), v2: useV2 };
}

function addressesOf(text: string): { v1?: string; v2?: string } {
  if (!/^\[?v[12]:/.test(text)) return { v1: text };
  const parts = text.replace(/^\[(?=v[12]:)|\]$/g, '').split(',');
  const of = (prefix: string) => {
    const found = parts.find((part) => part.startsWith(prefix));
    return found?.slice(prefix.length).replace(/\/[0-9]+$/, '');
  };
  const [v1, v2] = [of('v1:'), of('v2:')];
  return { ...(v1 === undefined ? {} : { v1 }), ...(v2 === undefined ? {} : { v2 }) };
}

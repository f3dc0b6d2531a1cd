/** What a cluster asks of its clients: Ceph's ceph_features.h, the bits that kernels once lacked, and the way out (Ceph documentation, "CRUSH tunables"). */
interface FeatureBit {
  readonly bit: bigint;
  readonly name: string;
  /** The first Linux that has it. */
  readonly linux: string;
  /** What makes the cluster not ask for it. */
  readonly orElse: string;
}

const tunables = (profile: string): string => `ceph osd crush tunables ${profile} (moves data)`;
const withoutErasureCoding = 'a pool without erasure coding';

const known: readonly FeatureBit[] = [
  { bit: 1n << 18n, name: 'CRUSH_TUNABLES', linux: '3.6', orElse: tunables('legacy') },
  { bit: 1n << 21n, name: 'SERVER_LUMINOUS', linux: '4.13', orElse: 'ceph osd set-require-min-compat-client jewel' },
  { bit: 1n << 25n, name: 'CRUSH_TUNABLES2', linux: '3.9', orElse: tunables('argonaut') },
  { bit: 1n << 30n, name: 'OSDHASHPSPOOL', linux: '3.9', orElse: 'ceph osd pool set POOL hashpspool false' },
  { bit: 1n << 35n, name: 'OSD_CACHEPOOL', linux: '3.14', orElse: 'a pool without a cache tier' },
  { bit: 1n << 36n, name: 'CRUSH_V2', linux: '3.14', orElse: withoutErasureCoding },
  { bit: 1n << 41n, name: 'CRUSH_TUNABLES3', linux: '3.15', orElse: tunables('bobtail') },
  { bit: 1n << 48n, name: 'CRUSH_V4', linux: '4.1', orElse: tunables('firefly') },
  { bit: 1n << 58n, name: 'CRUSH_TUNABLES5', linux: '4.5', orElse: tunables('hammer') },
  { bit: 1n << 61n, name: 'CEPHX_V2', linux: '4.19', orElse: 'cephx_require_version = 1' },
];

/** The bits by name (by number where they have none here), and what to do. */
export function describeCephFeatures(missing: bigint): string {
  const found = known.filter(({ bit }) => (missing & bit) !== 0n);
  const rest = found.reduce((left, { bit }) => left & ~bit, missing);
  const names = [...found.map(({ name }) => name), ...(rest === 0n ? [] : [`0x${rest.toString(16)}`])];
  const ways = found.map(({ name, linux, orElse }) => `for ${name} use Linux ${linux} or newer, or ${orElse}`);
  return [names.join(', '), ...ways].join('; ');
}

import type { ErrorCode } from '../domain/errors.js';
import { describeCephFeatures } from './ceph-feature-bits.js';

/** What a line of the kernel's log means. */
export interface KernelFinding {
  readonly code: ErrorCode;
  /** A clause, e.g. to stand after "the kernel log says:". */
  readonly sentence: string;
}

/** One kind of line: the first group that matters is in `match`. */
export interface KernelMessage {
  readonly pattern: RegExp;
  readonly means: (match: RegExpExecArray) => KernelFinding;
}

/** Of libceph (Linux, net/ceph), which rbd and ceph share. An address is `(1)10.0.0.1:6789`: the messenger, then where. */
const messages: readonly KernelMessage[] = [
  {
    pattern: /^libceph: (\S+ \S+) feature set mismatch, my [0-9a-f]+ < server's [0-9a-f]+, missing ([0-9a-f]+)/,
    means: ([, peer = '', missing = '0']) => lacksFeatures(peer, missing),
  },
  {
    pattern:
      /^libceph: (\S+ \S+) RADOS feature set mismatch: server's required > my supported \S+, missing 0x([0-9a-f]+)/,
    means: ([, peer = '', missing = '0']) => lacksFeatures(peer, missing),
  },
  {
    pattern: /^libceph: .*auth.* (?:failed|error):? -(1|13)\b/,
    means: () => ({
      code: 'UNAUTHENTICATED',
      sentence: 'the monitors refuse the user or its key: compare them with "ceph auth get client.USER"',
    }),
  },
  {
    // A connection that stood and is closed is a monitor that restarts: state OPEN.
    pattern:
      /^libceph: (mon[0-9]+) \([12]\)(\S+) (?:connect error|socket error on (?:read|write)|socket closed \(con state (?!(?:V[12]_)?OPEN\b))/,
    means: ([, monitor = '', address = '']) => ({
      code: 'UNAVAILABLE',
      sentence: `no monitor answers at ${address} (${monitor}): see whether it runs and whether this node reaches that address`,
    }),
  },
];

/** @param more patterns of the module that uses libceph. @returns each finding once, in the order of the lines. */
export function explainKernelLines(
  lines: readonly string[],
  more: readonly KernelMessage[] = [],
): readonly KernelFinding[] {
  const found = new Map<string, KernelFinding>();
  for (const line of lines) {
    for (const { pattern, means } of [...more, ...messages]) {
      const match = pattern.exec(line);
      if (match === null) continue;
      const finding = means(match);
      found.set(finding.sentence, finding);
      break;
    }
  }
  return [...found.values()];
}

const rawLines = 3;

/** To be put at the end of a message: what the lines mean, or the last of them as they are; empty when there are none. */
export function kernelSays(findings: readonly KernelFinding[], lines: readonly string[]): string {
  // An old kernel that takes no keys by name is given the key itself, and repeats an option that it doesn't like.
  const raw = lines.filter((line) => isCephLine(line) && !line.includes('secret=')).slice(-rawLines);
  const said = findings.length > 0 ? findings.map(({ sentence }) => sentence) : raw;
  return said.length === 0 ? '' : `; the kernel log says: ${said.join('; ')}`;
}

/** What the findings make of a failure: that a monitor was silent may be true beside another cause. */
export function codeOf(findings: readonly KernelFinding[]): ErrorCode | undefined {
  return (findings.find(({ code }) => code !== 'UNAVAILABLE') ?? findings[0])?.code;
}

function isCephLine(line: string): boolean {
  return /^(?:libceph|ceph|rbd)\b/.test(line);
}

function lacksFeatures(peer: string, missing: string): KernelFinding {
  return {
    code: 'FAILED_PRECONDITION',
    sentence: `this kernel lacks features that the cluster asks of its clients (${peer}, missing 0x${missing}): ${describeCephFeatures(BigInt(`0x${missing}`))}`,
  };
}

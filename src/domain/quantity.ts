const factors: Readonly<Record<string, bigint>> = {
  '': 1n,
  k: 1_000n,
  M: 1_000_000n,
  G: 1_000_000_000n,
  T: 1_000_000_000_000n,
  Ki: 1n << 10n,
  Mi: 1n << 20n,
  Gi: 1n << 30n,
  Ti: 1n << 40n,
};

/** The largest integer that every JSON tool on the way (kubectl, jq) still reads exactly. */
const largest = (1n << 53n) - 1n;

/** A whole number, or one with a suffix as Kubernetes writes quantities: `500`, `10k`, `2Mi`. undefined for anything else. */
export function parseQuantity(text: string): bigint | undefined {
  const [, digits, suffix = ''] = /^([0-9]{1,16})(k|[MGT]|[KMGT]i)?$/.exec(text) ?? [];
  const factor = factors[suffix];
  if (digits === undefined || factor === undefined) return undefined;
  const value = BigInt(digits) * factor;
  return value <= largest ? value : undefined;
}

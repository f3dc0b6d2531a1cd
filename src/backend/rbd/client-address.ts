const pattern = /(\[[0-9a-f:]+\]|[0-9.]+):[0-9]+\/[0-9]+/i;

/** One client's address in one form: `v2:10.0.0.7:0/123`, `10.0.0.7:0/123` and `[v2:[::1]:0/5,v1:...]` all occur. */
export function clientAddress(text: string): string {
  return pattern.exec(text)?.[0] ?? text;
}

/** Its host alone, without port and nonce. */
export function hostOf(address: string): string {
  return pattern.exec(address)?.[1] ?? address;
}

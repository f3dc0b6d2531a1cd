import { execa } from 'execa';

/** The addresses of Services. */
export const serviceRange = '10.98.0.0/24';
/** Of the Service `kubernetes`, by which pods reach the API server: the range's first. The node's own too, which may not be 127.0.0.1. */
export const serviceAddress = '10.98.0.1';
export const servicePort = 443;

const address = `${serviceAddress}/32`;

/** The API server listens on the address itself, on the loopback: the only Service of this cluster, and no kube-proxy is needed for it. */
export async function addServiceAddress(): Promise<void> {
  // One that a killed run has left is as good.
  await execa('ip', ['address', 'replace', address, 'dev', 'lo']);
}

export async function removeServiceAddress(): Promise<void> {
  await execa('ip', ['address', 'delete', address, 'dev', 'lo'], { reject: false });
}

import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { DriverError } from '../domain/errors.js';
import type { CallContext } from '../platform/call-context.js';
import type { NodeDirectory } from './node-directory.js';

const requestTimeoutMs = 5_000;
/** A node that was there is believed so long: pods start and stop all the time, nodes don't come and go. */
const keepMs = 60_000;
const pageSize = 500;
const mostPages = 40;
/** An object of one node is far smaller. */
const maxReplyBytes = 16 << 20;

export interface CsiNodesDependencies {
  readonly driverName: string;
  /** e.g. `https://10.96.0.1:443` */
  readonly server: string;
  /** Where Kubernetes mounts the pod's token and the API server's certificate authority. */
  readonly accountDir: string;
  readonly timeoutMs?: number;
}

/** The part of a CSINode that is looked at (Kubernetes API, storage.k8s.io/v1). */
interface CsiNode {
  readonly spec?: { readonly drivers?: readonly { readonly name: string; readonly nodeID: string }[] | null };
}

interface CsiNodeList {
  readonly items: readonly CsiNode[];
  readonly metadata: { readonly continue?: string };
}

/** The API server of the cluster that this process runs in; undefined when it runs in none, or has no service account. */
export async function csiNodesOf(
  environment: NodeJS.ProcessEnv,
  driverName: string,
  accountDir = '/var/run/secrets/kubernetes.io/serviceaccount',
): Promise<NodeDirectory | undefined> {
  const host = environment.KUBERNETES_SERVICE_HOST;
  if (host === undefined || host === '') return undefined;
  const port = environment.KUBERNETES_SERVICE_PORT_HTTPS ?? environment.KUBERNETES_SERVICE_PORT ?? '443';
  const token = await readFile(`${accountDir}/token`, 'utf8').catch(() => undefined);
  if (token === undefined) return undefined;
  return csiNodes({ driverName, server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`, accountDir });
}

/** Asks the API server which nodes have registered this driver: kubelet writes it into each node's CSINode. */
export function csiNodes(deps: CsiNodesDependencies): NodeDirectory {
  const seen = new Map<string, number>();
  return {
    has: async (ctx, node) => {
      if (Date.now() - (seen.get(node) ?? -Infinity) < keepMs) return true;
      const found = (await isNamed(ctx, deps, node)) || (await isListed(ctx, deps, node));
      if (found) seen.set(node, Date.now());
      else seen.delete(node);
      return found;
    },
  };
}

/** A node's id is mostly the name of its Node, which its CSINode has too. */
async function isNamed(ctx: CallContext, deps: CsiNodesDependencies, node: string): Promise<boolean> {
  if (!/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(node)) return false;
  const found = await ask<CsiNode>(ctx, deps, `/apis/storage.k8s.io/v1/csinodes/${node}`);
  return found !== undefined && holds(deps, found, node);
}

async function isListed(ctx: CallContext, deps: CsiNodesDependencies, node: string): Promise<boolean> {
  let from = '';
  for (let page = 0; page < mostPages; page++) {
    const query = new URLSearchParams({ limit: String(pageSize), ...(from === '' ? {} : { continue: from }) });
    const list = await ask<CsiNodeList>(ctx, deps, `/apis/storage.k8s.io/v1/csinodes?${query.toString()}`);
    if (list === undefined) return false;
    if (list.items.some((one) => holds(deps, one, node))) return true;
    from = list.metadata.continue ?? '';
    if (from === '') return false;
  }
  return false;
}

function holds({ driverName }: CsiNodesDependencies, { spec }: CsiNode, node: string): boolean {
  return (spec?.drivers ?? []).some((driver) => driver.name === driverName && driver.nodeID === node);
}

/** @returns undefined for 404. @throws DriverError UNAVAILABLE, PERMISSION_DENIED. */
async function ask<T>(ctx: CallContext, deps: CsiNodesDependencies, path: string): Promise<T | undefined> {
  const timeoutMs = deps.timeoutMs ?? requestTimeoutMs;
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const { status, text } = await get(new URL(path, deps.server), {
      ...(await account(deps)),
      signal: AbortSignal.any([ctx.signal, timeout]),
    });
    if (status === 404) return undefined;
    if (status === 200) return JSON.parse(text) as T;
    throw refusal(deps, status);
  } catch (error) {
    if (error instanceof DriverError) throw error;
    ctx.signal.throwIfAborted();
    const why = timeout.aborted ? `no answer within ${timeoutMs} ms` : String(error);
    throw new DriverError(
      'UNAVAILABLE',
      `the Kubernetes API at ${deps.server} does not say which nodes there are (${why}): check that this pod reaches it; the request may be repeated`,
      { cause: error },
    );
  }
}

/** Read each time: the token is renewed under our feet every hour. */
async function account({ accountDir }: CsiNodesDependencies): Promise<Omit<Get, 'signal'>> {
  const [token, ca] = await Promise.all([readFile(`${accountDir}/token`, 'utf8'), readFile(`${accountDir}/ca.crt`)]);
  return { headers: { authorization: `Bearer ${token.trim()}`, accept: 'application/json' }, ca };
}

function refusal({ server }: CsiNodesDependencies, status: number): DriverError {
  if (status !== 401 && status !== 403)
    return new DriverError(
      'UNAVAILABLE',
      `the Kubernetes API at ${server} answers ${status} when it is asked for the nodes: the request may be repeated`,
    );
  return new DriverError(
    'PERMISSION_DENIED',
    `the Kubernetes API at ${server} refuses to say which nodes there are (${status}): allow this pod's service account to get and list csinodes (storage.k8s.io), or list the nodes under "nodes" in the driver's configuration`,
  );
}

interface Get {
  readonly headers: Readonly<Record<string, string>>;
  readonly ca: Buffer;
  readonly signal: AbortSignal;
}

async function get(url: URL, options: Get): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const asking = request(url, { ...options, agent: false }, (response) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      response.on('data', (part: Buffer) => {
        bytes += part.length;
        if (bytes > maxReplyBytes) asking.destroy(new Error(`an answer of more than ${maxReplyBytes} bytes`));
        parts.push(part);
      });
      response.once('error', reject);
      response.once('end', () => {
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') });
      });
    });
    asking.once('error', reject);
    asking.end();
  });
}

import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { DriverError } from '../domain/errors.js';
import type { CallContext } from './call-context.js';

const requestTimeoutMs = 5_000;
/** A page of small objects, or one object, is far smaller. */
const maxReplyBytes = 16 << 20;

export interface KubernetesApiOptions {
  /** e.g. `https://10.96.0.1:443` */
  readonly server: string;
  /** Where Kubernetes mounts the pod's token and the API server's certificate authority. */
  readonly accountDir: string;
  readonly timeoutMs?: number;
}

/** What is asked, for the sentences of whoever gets no answer. */
export interface Question {
  /** e.g. `which nodes there are` */
  readonly what: string;
  /** What to do when it is refused. */
  readonly remedy: string;
}

/** Reads from the API server of the cluster that this process runs in. */
export interface KubernetesApi {
  /** @returns undefined for 404. @throws DriverError UNAVAILABLE, PERMISSION_DENIED. */
  get<T>(ctx: CallContext, path: string, question: Question): Promise<T | undefined>;
}

/** undefined when this process runs in no cluster, or has no service account. */
export async function kubernetesApiOf(
  environment: NodeJS.ProcessEnv,
  accountDir = '/var/run/secrets/kubernetes.io/serviceaccount',
): Promise<KubernetesApi | undefined> {
  const host = environment.KUBERNETES_SERVICE_HOST;
  if (host === undefined || host === '') return undefined;
  const port = environment.KUBERNETES_SERVICE_PORT_HTTPS ?? environment.KUBERNETES_SERVICE_PORT ?? '443';
  const token = await readFile(`${accountDir}/token`, 'utf8').catch(() => undefined);
  if (token === undefined) return undefined;
  return kubernetesApi({ server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`, accountDir });
}

export function kubernetesApi(options: KubernetesApiOptions): KubernetesApi {
  return {
    get: async <T>(ctx: CallContext, path: string, question: Question) => ask<T>(ctx, options, path, question),
  };
}

async function ask<T>(
  ctx: CallContext,
  options: KubernetesApiOptions,
  path: string,
  question: Question,
): Promise<T | undefined> {
  const { server } = options;
  const timeoutMs = options.timeoutMs ?? requestTimeoutMs;
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const { status, text } = await get(new URL(path, server), {
      ...(await account(options)),
      signal: AbortSignal.any([ctx.signal, timeout]),
    });
    if (status === 404) return undefined;
    if (status === 200) return JSON.parse(text) as T;
    throw refusal(server, status, question);
  } catch (error) {
    if (error instanceof DriverError) throw error;
    ctx.signal.throwIfAborted();
    const why = timeout.aborted ? `no answer within ${timeoutMs} ms` : String(error);
    throw new DriverError(
      'UNAVAILABLE',
      `the Kubernetes API at ${server} does not say ${question.what} (${why}): check that this pod reaches it; the request may be repeated`,
      { cause: error },
    );
  }
}

/** Read each time: the token is renewed under our feet every hour. */
async function account({ accountDir }: KubernetesApiOptions): Promise<Omit<Get, 'signal'>> {
  const [token, ca] = await Promise.all([readFile(`${accountDir}/token`, 'utf8'), readFile(`${accountDir}/ca.crt`)]);
  return { headers: { authorization: `Bearer ${token.trim()}`, accept: 'application/json' }, ca };
}

function refusal(server: string, status: number, { what, remedy }: Question): DriverError {
  if (status !== 401 && status !== 403)
    return new DriverError(
      'UNAVAILABLE',
      `the Kubernetes API at ${server} answers ${status} when it is asked ${what}: the request may be repeated`,
    );
  return new DriverError(
    'PERMISSION_DENIED',
    `the Kubernetes API at ${server} refuses to say ${what} (${status}): ${remedy}`,
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

import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import type { Identity } from './certificates.js';
import { type Kind, type KubeObject, kinds } from './kinds.js';

/** What the API server has refused. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

interface Reply {
  readonly status: number;
  readonly text: string;
}

const timeoutMs = 30_000;
const namespace = 'default';

/** The Kubernetes API, as far as the scenarios need it: objects are plain data, all of them in the namespace "default". */
export class Api {
  readonly #server: string;
  readonly #agent: Agent;
  readonly #signal: AbortSignal;

  private constructor(server: string, agent: Agent, signal: AbortSignal) {
    this.#server = server;
    this.#agent = agent;
    this.#signal = signal;
  }

  static async connect(server: string, caFile: string, identity: Identity, signal: AbortSignal): Promise<Api> {
    const [ca, cert, key] = await Promise.all(
      [caFile, identity.certificate, identity.key].map(async (f) => readFile(f)),
    );
    const agent = new Agent({ keepAlive: true, maxSockets: 16, ca, cert, key });
    return new Api(server, agent, signal);
  }

  async isReady(): Promise<boolean> {
    return (await this.#send('GET', '/readyz')).status === 200;
  }

  async create(object: KubeObject): Promise<KubeObject> {
    return await this.#ask('POST', pathOf(object.kind), object);
  }

  async get(kind: Kind, name: string): Promise<KubeObject> {
    return await this.#ask('GET', pathOf(kind, name));
  }

  /** @returns undefined when there is none of this name. */
  async find(kind: Kind, name: string): Promise<KubeObject | undefined> {
    return await this.get(kind, name).catch(unlessGone);
  }

  async list(kind: Kind): Promise<KubeObject[]> {
    const list = (await this.#ask('GET', pathOf(kind))) as unknown as { items: KubeObject[] };
    return list.items;
  }

  /** A merge patch: what it doesn't name stays. */
  async patch(kind: Kind, name: string, change: Readonly<Record<string, unknown>>): Promise<KubeObject> {
    return await this.#ask('PATCH', pathOf(kind, name), change);
  }

  /** One that is gone already is as good. */
  async delete(kind: Kind, name: string): Promise<void> {
    await this.#ask('DELETE', pathOf(kind, name)).catch(unlessGone);
  }

  close(): void {
    this.#agent.destroy();
  }

  async #ask(method: string, path: string, body?: unknown): Promise<KubeObject> {
    const { status, text } = await this.#send(method, path, body);
    if (status >= 300) throw new ApiError(status, `${method} ${path}: ${status} ${messageIn(text)}`);
    return JSON.parse(text) as KubeObject;
  }

  async #send(method: string, path: string, body?: unknown): Promise<Reply> {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(timeoutMs)]);
    return new Promise((resolve, reject) => {
      const asking = request(
        new URL(path, this.#server),
        { method, agent: this.#agent, signal, headers: { 'content-type': type, accept: 'application/json' } },
        (response) => {
          const parts: Buffer[] = [];
          response.on('data', (part: Buffer) => parts.push(part));
          response.once('error', reject);
          response.once('end', () => {
            resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') });
          });
        },
      );
      asking.once('error', reject);
      asking.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}

function pathOf(kind: Kind, name?: string): string {
  const { base, plural, isNamespaced } = kinds[kind];
  const collection = isNamespaced ? `${base}/namespaces/${namespace}/${plural}` : `${base}/${plural}`;
  return name === undefined ? collection : `${collection}/${name}`;
}

function unlessGone(error: unknown): undefined {
  if (error instanceof ApiError && error.status === 404) return undefined;
  throw error;
}

/** A Status object's message. */
function messageIn(text: string): string {
  try {
    return (JSON.parse(text) as { message?: string }).message ?? text;
  } catch {
    return text;
  }
}

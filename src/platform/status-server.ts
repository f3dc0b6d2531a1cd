import { createServer, type Server, type ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import { DriverError } from '../domain/errors.js';

/** What /readyz answers. */
export interface Readiness {
  /** Whether requests are served and the configuration is in order. A cluster that is down changes nothing about it. */
  readonly ready: boolean;
  /** One sentence for everything that is not as it should be, clusters that don't answer included. */
  readonly notes: readonly string[];
}

export interface StatusPages {
  readonly registry: Registry;
  /** Asked at each request: cheap, and takes nothing from any cluster. */
  readonly readiness: () => Readiness;
}

/**
 * Serves /metrics, /healthz (the process is alive) and /readyz over HTTP.
 * @param address `host:port`. @throws DriverError INVALID_ARGUMENT when it can't listen there.
 */
export async function serveStatus(pages: StatusPages, address: string): Promise<Server> {
  const [, host, port] = /^(.*):([0-9]{1,5})$/.exec(address) ?? [];
  if (host === undefined || port === undefined || Number(port) > 65_535)
    throw new DriverError(
      'INVALID_ARGUMENT',
      `--metrics-addr "${address}" is not host:port, e.g. 127.0.0.1:9090 or :9090`,
    );
  const server = createServer((request, response) => {
    const { url } = request;
    if (url === '/metrics') void answerMetrics(pages.registry, response);
    else if (url === '/healthz') answer(response, 200, 'ok\n');
    else if (url === '/readyz') answerReadiness(pages.readiness(), response);
    else answer(response, 404, 'there are /metrics, /healthz and /readyz\n');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(new DriverError('INVALID_ARGUMENT', `--metrics-addr ${address}: ${error.message}`));
    });
    server.listen({ port: Number(port), ...(host === '' ? {} : { host: host.replace(/^\[|\]$/g, '') }) }, resolve);
  });
  return server;
}

async function answerMetrics(registry: Registry, response: ServerResponse): Promise<void> {
  try {
    answer(response, 200, await registry.metrics(), registry.contentType);
  } catch (error) {
    answer(response, 500, `the metrics can't be collected: ${String(error)}\n`);
  }
}

function answerReadiness({ ready, notes }: Readiness, response: ServerResponse): void {
  const body = [ready ? 'ready' : 'not ready', ...notes].join('\n');
  answer(response, ready ? 200 : 503, `${body}\n`);
}

function answer(response: ServerResponse, status: number, text: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(text);
}

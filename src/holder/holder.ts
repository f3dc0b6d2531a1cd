import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { DriverError, isDriverError } from '../domain/errors.js';
import type { DaemonHost } from '../platform/daemons.js';
import { parseStart, startPath } from '../platform/holder-protocol.js';
import type { Logger } from '../platform/logger.js';
import { claimSocket, removeSocket } from '../platform/socket.js';
import { watchDaemons } from './watch-daemons.js';

export interface HolderOptions {
  readonly socketPath: string;
  readonly daemons: DaemonHost;
  readonly log: Logger;
}

const maxBodyBytes = 1 << 20;

/**
 * Starts the programs that carry data, for a node plugin whose own container comes and goes: they live as long as this one. It knows
 * nothing of volumes or clusters, so that it seldom needs to be replaced.
 */
export class Holder {
  readonly #options: HolderOptions;
  readonly #server: Server;
  readonly #closing = new AbortController();

  constructor(options: HolderOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      void this.#answer(request, response);
    });
  }

  /** Listens with mode 0600. @throws DriverError FAILED_PRECONDITION when another holder has the socket. */
  async listen(): Promise<void> {
    const { socketPath, daemons, log } = this.#options;
    await claimSocket(socketPath, async () => {
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', (error) => {
          reject(new DriverError('FAILED_PRECONDITION', `can't listen on ${socketPath}: ${error.message}`));
        });
        this.#server.listen(socketPath, resolve);
      });
    });
    // What goes wrong with one connection must not end the others' mounts.
    this.#server.on('error', (error) => {
      log.warn({ err: error }, 'the socket has failed');
    });
    void watchDaemons(daemons, log, this.#closing.signal);
  }

  /** What it has started goes on, unless the container's end ends it. */
  async close(): Promise<void> {
    this.#closing.abort();
    await removeSocket(this.#options.socketPath);
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
      this.#server.closeAllConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      if (request.method !== 'POST' || request.url !== startPath)
        throw new DriverError('UNIMPLEMENTED', `this holder knows POST ${startPath} and nothing else`);
      const daemon = parseStart(await bodyOf(request));
      const result = await this.#options.daemons.run(daemon);
      const { exitCode, failure } = result;
      this.#options.log.info(
        { program: daemon.program, exitCode, failure },
        exitCode === 0 ? 'started' : 'not started',
      );
      response.writeHead(200).end(JSON.stringify(result));
    } catch (error) {
      this.#options.log.warn({ err: error }, 'refused');
      const message = isDriverError(error) ? error.message : 'the holder failed: see its log';
      response.writeHead(isDriverError(error) ? 400 : 500).end(JSON.stringify({ message }));
    }
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) throw new DriverError('INVALID_ARGUMENT', `the body has more than ${maxBodyBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

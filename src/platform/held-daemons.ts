import { request } from 'node:http';
import { DriverError } from '../domain/errors.js';
import { type DaemonHost, type DaemonStart, localDaemons } from './daemons.js';
import { formatStart, parseResult, startPath } from './holder-protocol.js';

/** What the holder needs beside the daemon itself. */
const answerGraceMs = 5_000;

/**
 * Daemons that a holder starts in its own container, where they outlive this one's. Found and stopped they are through /proc, as local
 * ones: both containers share the host's processes (hostPID).
 */
export function heldDaemons(socketPath: string): DaemonHost {
  return {
    ...localDaemons,
    run: async (daemon) => parseResult(await post(socketPath, formatStart(daemon), daemon)),
  };
}

async function post(socketPath: string, body: string, { program, timeoutMs }: DaemonStart): Promise<string> {
  const signal = AbortSignal.timeout(timeoutMs + answerGraceMs);
  return new Promise((resolve, reject) => {
    const fail = (cause: Error) => {
      const why = signal.aborted ? `gave no answer within ${timeoutMs + answerGraceMs} ms` : 'does not answer';
      reject(
        new DriverError(
          'UNAVAILABLE',
          `${program} can't be started: the holder at ${socketPath} ${why}: see that its pod runs on this node; what is mounted already is not affected, and the request may be repeated`,
          { cause },
        ),
      );
    };
    const sent = request({ socketPath, path: startPath, method: 'POST', signal }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', fail);
      answer.on('end', () => {
        resolve(Buffer.concat(chunks).toString());
      });
    });
    sent.on('error', fail);
    sent.end(body);
  });
}

import { chmod, lstat, mkdir, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { DriverError } from '../domain/errors.js';

/** sun_path of unix(7), with its terminating zero. */
const maxSocketPathBytes = 107;
const probeTimeoutMs = 2_000;

/**
 * The path of a CSI endpoint: `unix:///run/csi.sock`, `unix:/run/csi.sock` or the path itself.
 * @throws DriverError INVALID_ARGUMENT naming what an endpoint looks like.
 */
export function socketPathOf(endpoint: string): string {
  const path = endpoint.replace(/^unix:(?:\/\/(?=\/))?/, '');
  if (!path.startsWith('/') || path.startsWith('//')) {
    throw new DriverError(
      'INVALID_ARGUMENT',
      `--endpoint "${endpoint}" is no unix socket: write unix:///path/to/csi.sock (CSI speaks over unix sockets only)`,
    );
  }
  if (Buffer.byteLength(path) > maxSocketPathBytes) {
    throw new DriverError(
      'INVALID_ARGUMENT',
      `--endpoint is longer than ${maxSocketPathBytes} bytes, the most that a unix socket's path can have (unix(7)): use a shorter directory`,
    );
  }
  return path;
}

/** Binds with mode 0600 from the first moment on; a stale socket file is replaced, a live one refused. */
export async function claimSocket(path: string, bind: () => Promise<void>): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o750 });
  await clearStale(path);
  const before = process.umask(0o177);
  try {
    await bind();
  } finally {
    process.umask(before);
  }
  await chmod(path, 0o600);
}

export async function removeSocket(path: string): Promise<void> {
  await unlink(path).catch(() => undefined);
}

async function clearStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket())
    throw new DriverError(
      'FAILED_PRECONDITION',
      `--endpoint ${path} is a file that is no socket: remove it, or use another path`,
    );
  if (await isLive(path))
    throw new DriverError(
      'FAILED_PRECONDITION',
      `--endpoint ${path} is served by another process: stop it, or use another path`,
    );
  await unlink(path);
}

async function isLive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const done = (live: boolean) => {
      socket.destroy();
      resolve(live);
    };
    socket.setTimeout(probeTimeoutMs, () => {
      done(true);
    });
    socket.once('connect', () => {
      done(true);
    });
    socket.once('error', () => {
      done(false);
    });
  });
}

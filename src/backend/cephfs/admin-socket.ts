import { connect } from 'node:net';
import { DriverError } from '../../domain/errors.js';

const maxReplyBytes = 1 << 20;

/** One question to a Ceph daemon: the command as JSON that ends with a zero; a length of four bytes, big-endian, and the reply. */
export async function askDaemon(socketPath: string, prefix: string, timeoutMs: number): Promise<unknown> {
  const reply = await new Promise<Buffer>((resolve, reject) => {
    const parts: Buffer[] = [];
    const socket = connect(socketPath);
    socket.setTimeout(timeoutMs, () => {
      socket.destroy(new DriverError('UNAVAILABLE', `${socketPath} gave no answer within ${timeoutMs} ms`));
    });
    socket.once('connect', () => {
      socket.write(`${JSON.stringify({ prefix, format: 'json' })}\0`);
    });
    socket.on('data', (part) => {
      parts.push(part);
      if (parts.reduce((sum, one) => sum + one.length, 0) > maxReplyBytes) socket.destroy(new RangeError('too long'));
    });
    socket.once('error', reject);
    socket.once('close', () => {
      resolve(Buffer.concat(parts));
    });
  });
  const length = reply.length < 4 ? -1 : reply.readUInt32BE();
  if (reply.length < 4 + length || length < 0) {
    throw new DriverError('UNAVAILABLE', `${socketPath} was closed before the answer was whole`);
  }
  return JSON.parse(reply.toString('utf8', 4, 4 + length));
}

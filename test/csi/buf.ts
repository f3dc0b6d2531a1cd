import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import t from 'tap';
import { repositoryRoot } from '../house/read-sources.js';
import type { FileDescriptor } from './wire-facts.js';

const root = repositoryRoot();
const proto = path.join(root, 'proto');

/** Runs buf, and fails if it reaches for the network. */
function buf(args: readonly string[], input?: string | Uint8Array): Buffer {
  const cacheDir = t.testdir();
  return execFileSync(process.execPath, [createRequire(import.meta.url).resolve('@bufbuild/buf/bin/buf'), ...args], {
    cwd: root,
    env: {
      ...process.env,
      BUF_CACHE_DIR: cacheDir,
      HTTPS_PROXY: 'http://127.0.0.1:1',
      HTTP_PROXY: 'http://127.0.0.1:1',
    },
    maxBuffer: 64 << 20,
    ...(input === undefined ? {} : { input }),
  });
}

/** Encodes a message with buf, which shares no code with the generated classes; takes JSON, or bytes to encode anew. */
export function encodeWithBuf(type: string, message: object): string {
  const [format, input] =
    message instanceof Uint8Array ? (['binpb', message] as const) : (['json', JSON.stringify(message)] as const);
  const args = ['convert', proto, '--type', type, '--from', `-#format=${format}`, '--to', '-#format=binpb'];
  return buf(args, input).toString('hex');
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

export function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'));
}

/** What proto/ holds, as buf compiles it. */
export function compileProto(): readonly [FileDescriptor, ...FileDescriptor[]] {
  const args = ['build', proto, '--exclude-source-info', '--exclude-imports', '-o', '-#format=json'];
  const { file } = JSON.parse(buf(args).toString()) as { readonly file: readonly FileDescriptor[] };
  const [first, ...more] = file;
  if (first === undefined) throw new Error('proto/ compiled to nothing');
  return [first, ...more];
}

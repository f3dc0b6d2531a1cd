import { mkdtempSync, rmSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { FuseSockets } from '../../../src/backend/cephfs/fuse-sockets.js';
import { id } from './fake-mounters.js';

function sockets(t: Test): { directory: string; sockets: FuseSockets } {
  const directory = mkdtempSync(join(tmpdir(), 'fs-'));
  t.teardown(() => {
    rmSync(directory, { recursive: true });
  });
  return { directory, sockets: new FuseSockets(directory) };
}

/** A daemon that answers every question with these bytes, or not at all. */
async function daemon(t: Test, path: string, reply: Buffer | undefined): Promise<void> {
  const server = createServer((socket) => {
    socket.once('data', () => {
      if (reply !== undefined) socket.end(reply);
    });
    t.teardown(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.teardown(() => server.close());
}

function answer(value: object): Buffer {
  const text = Buffer.from(JSON.stringify(value));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  return Buffer.concat([length, text]);
}

t.test('the address is that of the daemon which is this client, whatever the others answer', async (t) => {
  const { sockets: all } = sockets(t);
  await daemon(t, await all.create(id), answer({ id: 4219, addr_str: '10.0.0.1:0/19' }));
  await daemon(t, await all.create(id), answer({ id: 4220, addr_str: '10.0.0.1:0/20' }));
  await daemon(t, await all.create(id), Buffer.from([0, 0, 1, 0, 123]));
  await daemon(t, await all.create(id), Buffer.alloc(0));
  t.equal(await all.addressOf(id, '4220'), '10.0.0.1:0/20');
  t.equal(await all.addressOf(id, '4219'), '10.0.0.1:0/19');
  t.equal(await all.addressOf(id, '4221'), undefined);
  t.equal(await all.addressOf({ ...id, path: '/volumes/csi/y' }, '4220'), undefined, 'nor another volume');
});

t.test('a daemon that hangs is not waited for', async (t) => {
  const { sockets: all } = sockets(t);
  await daemon(t, await all.create(id), undefined);
  t.equal(await all.addressOf(id, '4220'), undefined);
});

t.test('what killed daemons have left goes when none of the volume lives', async (t) => {
  const { sockets: all, directory } = sockets(t);
  await daemon(t, await all.create(id), answer({}));
  await all.sweep(id, true);
  t.equal((await readdir(directory)).length, 1);
  await all.sweep({ ...id, path: '/volumes/csi/y' }, false);
  t.equal((await readdir(directory)).length, 1);
  await all.sweep(id, false);
  t.strictSame(await readdir(directory), []);
});

t.test('a directory whose sockets would have too long a name gets none', async (t) => {
  t.equal(await new FuseSockets(`/${'x'.repeat(80)}`).create(id), '');
});

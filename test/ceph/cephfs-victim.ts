import { text } from 'node:stream/consumers';
import { ConnectionPool } from '../../src/ceph/connection-pool.js';
import { Secret } from '../../src/platform/secret.js';
import { context, silentLog } from './contract-subject.js';

/** A process to be killed: makes directories, takes a lock, says so, and stays. Its input says where, as JSON. */
interface Orders {
  readonly monitors: string;
  readonly user: string;
  readonly key: string;
  readonly sessionName: string;
}

const orders = JSON.parse(await text(process.stdin)) as Orders;
const client = new ConnectionPool({ log: silentLog, sessionName: orders.sessionName });
const connection = await client.connect(context(), {
  clusterId: 'test',
  monitors: orders.monitors,
  user: orders.user,
  key: new Secret(orders.key),
  timeouts: { connectMs: 5_000, monMs: 5_000, osdMs: 5_000 },
});
const fs = await connection.fileSystem(context(), 'cephfs', ['/', '/killed']);
const attributes = new Map([['ceph.quota.max_bytes', '1000000']]);
await fs.makeDirectory(context(), '/killed/made', { mode: 0o700, uid: 1234, gid: 1234, attributes });
await fs.makeDirectory(context(), '/killed/changed', { mode: 0o755, attributes });
await fs.setOwner(context(), '/killed/changed', 5, 6);
await fs.setMode(context(), '/killed/changed', 0o711);
await fs.lock(context(), '/killed/lock');
process.stdout.write('made\n');
setInterval(() => undefined, 1_000);

import { text } from 'node:stream/consumers';
import { ConnectionPool } from '../../src/ceph/connection-pool.js';
import { Secret } from '../../src/platform/secret.js';
import { context, silentLog } from './contract-subject.js';

/** A process that copies a tree, renames the copy into place, and is killed at that very moment. */
interface Orders {
  readonly monitors: string;
  readonly key: string;
  readonly from: string;
  readonly hidden: string;
  readonly to: string;
}

const orders = JSON.parse(await text(process.stdin)) as Orders;
const client = new ConnectionPool({ log: silentLog });
const connection = await client.connect(context(), {
  clusterId: 'test',
  monitors: orders.monitors,
  user: 'admin',
  key: new Secret(orders.key),
  timeouts: { connectMs: 10_000, monMs: 10_000, osdMs: 20_000 },
});
const fs = await connection.fileSystem(context(), 'cephfs', ['/']);
await fs.copyTree(context(), orders.from, orders.hidden, { concurrency: 8 });
await fs.rename(context(), orders.hidden, orders.to);
process.kill(process.pid, 'SIGKILL');

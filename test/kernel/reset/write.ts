import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, writeFile } from 'node:fs/promises';
import t from 'tap';
import { useCluster } from '../../harness/cluster.js';
import { Rpc } from '../../integration/rpc.js';
import { digestPastCache } from '../writer.js';
import { blockBytes, dataOf, factsFile, type Kept, kinds, nodeDriver, nodeId, pathsOf, pool } from './node.js';

/** Volumes are attached, staged, published and written to, and stay so: the node is reset when this program has ended. */
const cluster = await useCluster();
await cluster.createPool(pool);
const driver = await nodeDriver(cluster);
// A driver that is shut down in order would be kinder than a power failure.
t.teardown(async () => driver.stop('SIGKILL'));
const rpc = new Rpc(() => driver);
const facts: Record<string, Kept> = {};

for (const [name, { parameters, capability }] of Object.entries(kinds)) {
  t.test(`${name} is in use`, async (t) => {
    const { stagingPath, targetPath } = pathsOf(name);
    const asked = { parameters, capabilities: [capability], requiredBytes: 512n << 20n };
    const { id, context } = await rpc.create(`reset-${name}`, asked);
    const publishContext = await rpc.attach(id, nodeId, { capability });
    const options = { capability, context, publishContext };
    await mkdir(stagingPath, { recursive: true });
    await rpc.stage(id, stagingPath, options);
    await rpc.publish(id, stagingPath, targetPath, options);
    const digest = await writeDown(dataOf(name));
    t.equal(await digestPastCache(dataOf(name), blockBytes), digest);
    facts[name] = { id, context, publishContext, digest };
    if (capability.has_mount) keepWriting(`${targetPath}/unsynced`);
    await writeFile(factsFile(), JSON.stringify(facts), { flush: true });
  });
}

/** @returns the SHA-256 of what is synced now. */
async function writeDown(path: string): Promise<string> {
  const data = randomBytes(blockBytes);
  const file = await open(path, path.endsWith('/data') ? 'wx' : 'r+');
  try {
    await file.write(data, 0, blockBytes, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  return createHash('sha256').update(data).digest('hex');
}

/** The file systems are dirty when the node goes. */
function keepWriting(path: string): void {
  const script = 'while head -c 65536 /dev/urandom; do sleep 0.2; done >"$1"';
  spawn('sh', ['-c', script, 'sh', path], { detached: true, stdio: 'ignore' }).unref();
}

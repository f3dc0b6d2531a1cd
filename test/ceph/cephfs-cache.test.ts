import t from 'tap';
import { useCluster } from '../harness/cluster.js';
import { eventually } from '../integration/images.js';
import { context, countedNames, directory, eachConcurrently } from './contract-subject.js';
import { realSubject } from './real-subject.js';

t.setTimeout(60_000);

t.test('once it is quiet, a client holds nothing that others would have to wait for if it were killed', async (t) => {
  const cluster = await useCluster();
  t.teardown(async () => cluster.stop());
  const real = realSubject(cluster);
  t.teardown(async () => real.dispose());
  const connection = await real.client.connect(context(), real.access);
  const fs = await connection.fileSystem(context(), real.fileSystem, ['/']);
  const base = `/cache-${process.pid}`;
  t.teardown(async () => fs.removeTree(context(), base, { concurrency: 8 }));
  await fs.makeDirectories(context(), base, 0o755);

  const capabilities = async (): Promise<number> => {
    const listed = await cluster.ceph(['tell', 'mds.a', 'session', 'ls', '--format', 'json']);
    const sessions = JSON.parse(listed) as { num_caps: number; client_metadata: { pid?: string } }[];
    return sessions.find(({ client_metadata }) => client_metadata.pid === String(process.pid))?.num_caps ?? -1;
  };
  await eachConcurrently(countedNames('volume-', 100), 8, async (name) =>
    fs.makeDirectory(context(), `${base}/${name}`, directory()),
  );
  t.ok((await capabilities()) > 100, 'it keeps them while it works');
  t.ok(await eventually(async () => (await capabilities()) === 1, 15_000), 'the root alone is left');
});

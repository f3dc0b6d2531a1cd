import { spawn } from 'node:child_process';
import { lstat, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { call } from '../harness/driver.js';
import { csi } from '../../src/csi/gen/csi.js';
import { lonelyDriver, nobodyThere, runCuttle, shortDirectory, until } from './run-cuttle.js';

const serve = async (directory: string, socket: string) => {
  const config = join(directory, 'other.yaml');
  await writeFile(config, nobodyThere);
  return runCuttle(['serve', '--endpoint', `unix://${socket}`, '--config', config, '--run-dir', join(directory, 'r')]);
};

t.test('the socket is for its owner alone: mode 0600', async (t) => {
  const { socketPath } = await lonelyDriver(t);
  const found = await lstat(socketPath);
  t.ok(found.isSocket());
  t.equal(found.mode & 0o777, 0o600);
});

t.test('the directory of the socket is made', async (t) => {
  const directory = join(await shortDirectory(t), 'a/b');
  const driver = await lonelyDriver(t, { directory });
  t.ok((await lstat(driver.socketPath)).isSocket());
});

t.test('a socket that a killed driver has left is replaced', async (t) => {
  const directory = await shortDirectory(t);
  const socketPath = join(directory, 'csi.sock');
  const script = `require('node:net').createServer().listen(${JSON.stringify(socketPath)})`;
  const child = spawn(process.execPath, ['-e', script], { stdio: 'ignore' });
  await until('the socket is there', async () => stat(socketPath).then(Boolean, () => false));
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  t.ok((await lstat(socketPath)).isSocket(), 'it is left behind');
  const driver = await lonelyDriver(t, { directory });
  t.ok(await call((done) => driver.identity.Probe(new csi.v1.ProbeRequest(), done)));
});

t.test('a socket that a living driver serves is refused and goes on serving', async (t) => {
  const driver = await lonelyDriver(t);
  const { exitCode, stderr } = await serve(join(driver.socketPath, '..'), driver.socketPath);
  t.equal(exitCode, 2);
  t.match(stderr, /^cuttle: --endpoint .*\/csi\.sock is served by another process: stop it, or use another path$/m);
  t.ok(await call((done) => driver.identity.Probe(new csi.v1.ProbeRequest(), done)));
});

t.test('a file at the endpoint that is no socket is refused and left as it is', async (t) => {
  const directory = await shortDirectory(t);
  const file = join(directory, 'notes');
  await writeFile(file, 'precious');
  const { exitCode, stderr } = await serve(directory, file);
  t.equal(exitCode, 2);
  t.match(stderr, /^cuttle: --endpoint .*\/notes is a file that is no socket: remove it, or use another path$/m);
  t.equal(await readFile(file, 'utf8'), 'precious');
});

import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { repositoryRoot } from '../house/read-sources.js';
import { runCuttle, shortDirectory } from './run-cuttle.js';

t.test('--help explains every option on standard output', async (t) => {
  const { exitCode, stdout, stderr } = await runCuttle(['--help']);
  t.equal(exitCode, 0);
  t.equal(stderr, '');
  const options = ['role', 'endpoint', 'node-id', 'driver-name', 'config', 'backends', 'metrics-addr', 'run-dir'];
  for (const option of [...options, 'log-level', 'shutdown-grace'])
    t.match(stdout, new RegExp(`^ {2}--${option} \\S+\\n {8}\\S.{15,}$`, 'm'));
  for (const word of ['Usage: cuttle serve', 'SIGTERM', 'SIGHUP', 'docs/configuration.md']) t.match(stdout, word);
  for (const line of stdout.split('\n')) t.ok(line.length <= 140, line);
});

t.test('the pages that --help names are there', (t) => {
  for (const page of ['docs/configuration.md', 'docs/errors.md'])
    t.ok(readFileSync(join(repositoryRoot(), page), 'utf8').length > 1_000, page);
  t.end();
});

t.test("--version prints the package's version and nothing else", async (t) => {
  const { version } = JSON.parse(readFileSync(join(repositoryRoot(), 'package.json'), 'utf8')) as { version: string };
  t.strictSame(await runCuttle(['--version']), { exitCode: 0, stdout: `${version}\n`, stderr: '' });
});

const wrong: readonly [string, string[], RegExp][] = [
  [
    'an unknown command',
    ['start'],
    /^cuttle: unknown command "start": use "cuttle serve" or "cuttle hold", see cuttle --help\n$/,
  ],
  ['an unknown option', ['serve', '--colour'], /^cuttle: .*'--colour'.*see cuttle --help\n$/s],
  ['a bad value', ['serve', '--role', 'x'], /^cuttle: --role is "x": use controller, node, all\n$/],
  ['an endpoint that is none', ['serve', '--endpoint', 'tcp://a:1'], /^cuttle: --endpoint "tcp:\/\/a:1" is no unix/],
  ['a configuration that is not there', ['serve', '--config', '/no/such'], /^cuttle: configuration \/no\/such: can't/],
];

for (const [what, args, message] of wrong) {
  t.test(`${what} ends it with exit code 2 and one sentence on standard error`, async (t) => {
    const { exitCode, stdout, stderr } = await runCuttle(args);
    t.equal(exitCode, 2);
    t.equal(stdout, '');
    const said = stderr.split('\n').filter((line) => !line.startsWith('{'));
    t.match(said.join('\n'), message);
    t.notMatch(stderr, /^\s+at /m, 'no stack');
  });
}

t.test('a metrics address that is none ends it in the same way', async (t) => {
  const directory = await shortDirectory(t);
  const config = join(directory, 'config.yaml');
  await writeFile(config, 'clusters: [{ id: a, monitors: "127.0.0.1:1" }]');
  for (const address of ['9090', '127.0.0.1:99999']) {
    const args = ['serve', '--endpoint', `unix://${directory}/s`, '--config', config, '--metrics-addr', address];
    const { exitCode, stderr } = await runCuttle(args);
    t.equal(exitCode, 2);
    t.match(stderr, new RegExp(`^cuttle: --metrics-addr "${address}" is not host:port`, 'm'));
  }
});

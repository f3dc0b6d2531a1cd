import { hostname } from 'node:os';
import t from 'tap';
import { helpText, parseCommand, type ServeOptions } from '../../src/config/options.js';

function serve(args: readonly string[] = [], environment: NodeJS.ProcessEnv = {}): ServeOptions {
  const command = parseCommand(['serve', ...args], environment);
  if (command.name !== 'serve') throw new Error(`${command.name} is not serve`);
  return command.options;
}

t.test('every option has a default', (t) => {
  t.strictSame(serve(), {
    role: 'all',
    endpoint: 'unix:///run/cuttle/csi.sock',
    nodeId: hostname(),
    driverName: 'csi.cuttle.dev',
    configFile: undefined,
    backends: ['rbd', 'cephfs'],
    metricsAddress: undefined,
    runDir: '/run/cuttle',
    logLevel: 'info',
    shutdownGraceMs: 60_000,
    topology: {},
    topologyLabels: [],
  });
  t.end();
});

const options: readonly [string, string, keyof ServeOptions, unknown][] = [
  ['role', 'node', 'role', 'node'],
  ['endpoint', 'unix:///tmp/a.sock', 'endpoint', 'unix:///tmp/a.sock'],
  ['node-id', 'node-7', 'nodeId', 'node-7'],
  ['driver-name', 'rbd.example.org', 'driverName', 'rbd.example.org'],
  ['config', '/etc/cuttle.yaml', 'configFile', '/etc/cuttle.yaml'],
  ['backends', ' rbd, rbd', 'backends', ['rbd']],
  ['topology', 'x.io/region=r, x.io/zone=a', 'topology', { 'x.io/region': 'r', 'x.io/zone': 'a' }],
  [
    'topology-labels',
    'x.io/zone, y.io/rack=x.io/rack',
    'topologyLabels',
    [
      { label: 'x.io/zone', key: 'x.io/zone' },
      { label: 'y.io/rack', key: 'x.io/rack' },
    ],
  ],
  ['metrics-addr', ':9090', 'metricsAddress', ':9090'],
  ['run-dir', '/run/other', 'runDir', '/run/other'],
  ['log-level', 'trace', 'logLevel', 'trace'],
  ['shutdown-grace', '5', 'shutdownGraceMs', 5_000],
];

for (const [name, value, field, expected] of options) {
  const variable = `CUTTLE_${name.toUpperCase().replaceAll('-', '_')}`;
  t.test(`--${name} may be an argument or ${variable}, and the argument counts`, (t) => {
    t.strictSame(serve([`--${name}`, value])[field], expected);
    t.strictSame(serve([`--${name}=${value}`])[field], expected);
    t.strictSame(serve([], { [variable]: value })[field], expected);
    t.strictSame(serve([`--${name}`, value], { [variable]: 'not this / one' })[field], expected);
    t.strictSame(serve([], { [variable]: '' })[field], serve()[field], 'an empty variable is none');
    t.end();
  });
}

t.test('no option of --help is left untested here', (t) => {
  const names = [...helpText().matchAll(/^ {2}--([a-z-]+) /gm)].map(([, name]) => name);
  t.strictSame(names.sort(), options.map(([name]) => name).sort());
  t.end();
});

const bad: readonly [string, RegExp][] = [
  ['--role=master', /^--role is "master": use controller, node, all$/],
  ['--log-level=loud', /^--log-level is "loud": use fatal, error, warn, info, debug, trace$/],
  ['--backends=rbd,nfs', /^--backends is "nfs": use rbd/],
  ['--backends=', /^--backends is ""/],
  ['--shutdown-grace=soon', /^--shutdown-grace is "soon": write a whole number of seconds/],
  ['--shutdown-grace=-1', /^--shutdown-grace is "-1"/],
  ['--shutdown-grace=100000', /^--shutdown-grace is "100000"/],
  ['--node-id=', /^--node-id must have 1 to 256 bytes/],
  [`--node-id=${'ö'.repeat(129)}`, /^--node-id must have 1 to 256 bytes/],
  ['--driver-name=csi.', /^--driver-name "csi\." is no CSI plugin name/],
  ['--driver-name=7csi', /^--driver-name/],
  [`--driver-name=${'a'.repeat(64)}`, /^--driver-name .*at most 63/],
  ['--run-dir=run', /^--run-dir "run" is relative/],
  ['--topology=zone', /^--topology "zone" is no KEY=VALUE$/],
  ['--topology=a b=c', /^--topology: "a b" is no topology key/],
  ['--topology=zone=', /^--topology zone: "" is no topology value/],
  ['--topology=zone=a,zone=b', /^topology key "zone" is given twice/],
  ['--topology=zone=a,Zone=b', /differ by capitals/],
  ['--topology-labels=a/b/c', /^--topology-labels: "a\/b\/c" has more than one/],
  [
    '--topology-labels=x.io/zone,y.io/rack',
    /the same prefix of all of them; LABEL=KEY gives a label's value another key$/,
  ],
  ['--colour=red', /--colour.*see cuttle --help/],
  ['--role', /--role.*see cuttle --help/],
];

for (const [argument, message] of bad) {
  t.test(`${argument.slice(0, 40)} is refused in a sentence that names the option`, (t) => {
    t.throws(() => serve([argument]), { code: 'INVALID_ARGUMENT', message });
    t.end();
  });
}

t.test('the longest node id and driver name pass', (t) => {
  t.equal(serve(['--node-id', 'ö'.repeat(128)]).nodeId.length, 128);
  t.equal(serve(['--driver-name', 'a'.repeat(63)]).driverName.length, 63);
  t.end();
});

t.test('help and version are asked for in the usual ways, and no argument at all is a question', (t) => {
  t.strictSame(parseCommand([], {}), { name: 'help' });
  for (const args of [['--help'], ['-h'], ['serve', '--help'], ['--help', '--version']])
    t.strictSame(parseCommand(args, {}), { name: 'help' }, args.join(' '));
  t.strictSame(parseCommand(['--version'], {}), { name: 'version' });
  t.end();
});

t.test('an unknown command is named, and serve takes no further words', (t) => {
  for (const args of [['start'], ['serve', 'now']]) {
    const message = new RegExp(`unknown command "${args.join(' ')}": use "cuttle serve"`);
    t.throws(() => parseCommand(args, {}), { code: 'INVALID_ARGUMENT', message });
  }
  t.throws(() => parseCommand(['--role', 'node'], {}), { message: /unknown command ""/ });
  t.end();
});

import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { type BackendKind, backendKinds } from '../domain/backend-kind.js';
import { DriverError } from '../domain/errors.js';
import { type LogLevel, logLevels } from '../platform/logger.js';
import { readTopology, type TopologyOptions } from './topology-options.js';

export const roles = ['controller', 'node', 'all'] as const;
export type Role = (typeof roles)[number];

/** The command line of `cuttle serve`, checked. */
export interface ServeOptions extends TopologyOptions {
  readonly role: Role;
  readonly endpoint: string;
  readonly nodeId: string;
  readonly driverName: string;
  readonly configFile: string | undefined;
  readonly backends: readonly BackendKind[];
  readonly metricsAddress: string | undefined;
  readonly runDir: string;
  /** The socket of what starts the daemons that carry data; undefined = this process. */
  readonly holder: string | undefined;
  readonly logLevel: LogLevel;
  readonly shutdownGraceMs: number;
}

/** The command line of `cuttle hold`, checked. */
export interface HoldOptions {
  readonly endpoint: string;
  readonly logLevel: LogLevel;
}

export type Command =
  | { readonly name: 'serve'; readonly options: ServeOptions }
  | { readonly name: 'hold'; readonly options: HoldOptions }
  | { readonly name: 'help' }
  | { readonly name: 'version' };

interface OptionHelp {
  readonly value: string;
  readonly text: string;
}

/** One place for the parser and for --help; each may be given as CUTTLE_<NAME> in the environment instead. */
const optionHelp = {
  role: { value: 'controller|node|all', text: 'services to offer besides Identity (default: all)' },
  endpoint: { value: 'unix:///PATH', text: 'socket to listen on, mode 0600 (default: unix:///run/cuttle/csi.sock)' },
  'node-id': { value: 'NAME', text: "this node's name, at most 256 bytes (default: the host's name)" },
  'driver-name': {
    value: 'NAME',
    text: "CSI plugin name, as in a StorageClass's provisioner (default: csi.cuttle.dev)",
  },
  config: {
    value: 'FILE',
    text: 'YAML file that lists the clusters; changes are picked up (default: the host\'s ceph.conf is the cluster "default")',
  },
  backends: {
    value: 'LIST',
    text: `kinds of volumes to serve, separated by commas (default: ${backendKinds.join(',')})`,
  },
  topology: {
    value: 'KEY=VALUE,...',
    text: 'from where this node reaches volumes, as CSI topology; a controller takes the keys (default: none)',
  },
  'topology-labels': {
    value: 'LABEL[=KEY],...',
    text: "the same by labels of this node's Node in Kubernetes, read from its API (default: none)",
  },
  'metrics-addr': { value: 'HOST:PORT', text: 'serve /metrics for Prometheus, /healthz and /readyz (default: off)' },
  'run-dir': {
    value: 'DIR',
    text: 'directory on tmpfs for mapped images; must stay the same over restarts (default: /run/cuttle)',
  },
  holder: {
    value: 'unix:///PATH',
    text: 'socket of "cuttle hold", which starts the daemons that carry data where they outlive this container (default: none)',
  },
  'log-level': { value: 'LEVEL', text: `${logLevels.join(', ')} (default: info)` },
  'shutdown-grace': { value: 'SECONDS', text: 'how long SIGTERM waits for RPCs under way (default: 60)' },
} satisfies Record<string, OptionHelp>;

type OptionName = keyof typeof optionHelp;

const holderEndpoint = 'unix:///run/cuttle/holder.sock';
const holdOptions: readonly string[] = ['endpoint', 'log-level'];
const maxNodeIdBytes = 256;
/** CSI spec, GetPluginInfoResponse.name: domain name notation, at most 63 characters. */
const driverNamePattern = /^(?=.{1,63}$)[A-Za-z]([A-Za-z0-9.-]*[A-Za-z0-9])?$/;

export function helpText(): string {
  const rows = Object.entries(optionHelp).map(([name, { value, text }]) => `  --${name} ${value}\n        ${text}`);
  return [
    'cuttle: a CSI driver for Ceph (RBD images and CephFS directories)',
    '',
    'Usage: cuttle serve [options]',
    '       cuttle hold [--endpoint unix:///PATH] [--log-level LEVEL]',
    '       cuttle --help | --version',
    '',
    'serve  offers the CSI services.',
    `hold   starts the programs that carry data for "serve --holder", and is never in its way: default endpoint ${holderEndpoint}.`,
    '',
    'Options of serve (each also as an environment variable, e.g. CUTTLE_NODE_ID for --node-id):',
    ...rows,
    '',
    'Signals: SIGTERM and SIGINT end it after the RPCs under way, a second one at once; SIGHUP reads the configuration again.',
    'Documentation: docs/configuration.md, docs/errors.md',
    '',
  ].join('\n');
}

/** @throws DriverError INVALID_ARGUMENT naming the option. */
export function parseCommand(args: readonly string[], environment: NodeJS.ProcessEnv): Command {
  const { values, positionals } = parse(args);
  if (values.help === true || (args.length === 0 && positionals.length === 0)) return { name: 'help' };
  if (values.version === true) return { name: 'version' };
  const [command, ...rest] = positionals;
  if ((command !== 'serve' && command !== 'hold') || rest.length > 0) {
    throw invalid(`unknown command "${positionals.join(' ')}": use "cuttle serve" or "cuttle hold", see cuttle --help`);
  }
  const read = (name: OptionName): string | undefined => {
    const given = values[name];
    const fromEnvironment = environment[`CUTTLE_${name.toUpperCase().replaceAll('-', '_')}`];
    return typeof given === 'string' ? given : fromEnvironment === '' ? undefined : fromEnvironment;
  };
  if (command === 'serve') return { name: 'serve', options: readOptions(read) };
  const other = Object.keys(values).find((name) => !holdOptions.includes(name));
  if (other !== undefined) throw invalid(`--${other} is not an option of "cuttle hold", see cuttle --help`);
  const endpoint = read('endpoint') ?? holderEndpoint;
  return { name: 'hold', options: Object.freeze({ endpoint, logLevel: logLevelOf(read) }) };
}

function readOptions(read: (name: OptionName) => string | undefined): ServeOptions {
  const nodeId = read('node-id') ?? hostname();
  if (nodeId === '' || Buffer.byteLength(nodeId) > maxNodeIdBytes)
    throw invalid(`--node-id must have 1 to ${maxNodeIdBytes} bytes`);
  const driverName = read('driver-name') ?? 'csi.cuttle.dev';
  if (!driverNamePattern.test(driverName)) {
    throw invalid(
      `--driver-name "${driverName}" is no CSI plugin name: letters, digits, "." and "-", at most 63, ending with a letter or digit`,
    );
  }
  const runDir = read('run-dir') ?? '/run/cuttle';
  if (!runDir.startsWith('/')) throw invalid(`--run-dir "${runDir}" is relative: name an absolute path`);
  return Object.freeze({
    role: oneOf('role', read('role') ?? 'all', roles),
    endpoint: read('endpoint') ?? 'unix:///run/cuttle/csi.sock',
    nodeId,
    driverName,
    configFile: read('config'),
    backends: list('backends', read('backends') ?? backendKinds.join(','), backendKinds),
    metricsAddress: read('metrics-addr'),
    runDir,
    holder: read('holder'),
    logLevel: logLevelOf(read),
    shutdownGraceMs: seconds('shutdown-grace', read('shutdown-grace') ?? '60'),
    ...readTopology(read('topology'), read('topology-labels')),
  });
}

function logLevelOf(read: (name: OptionName) => string | undefined): LogLevel {
  return oneOf('log-level', read('log-level') ?? 'info', logLevels);
}

function parse(args: readonly string[]): { values: Readonly<Record<string, unknown>>; positionals: string[] } {
  const strings: Record<string, { type: 'string' }> = {};
  for (const name of Object.keys(optionHelp)) strings[name] = { type: 'string' };
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { ...strings, help: { type: 'boolean', short: 'h' }, version: { type: 'boolean' } },
    });
  } catch (error) {
    throw invalid(`${error instanceof Error ? error.message : String(error)}; see cuttle --help`);
  }
}

function oneOf<T extends string>(name: OptionName, value: string, known: readonly T[]): T {
  const found = known.find((one) => one === value);
  if (found === undefined) throw invalid(`--${name} is "${value}": use ${known.join(', ')}`);
  return found;
}

function list<T extends string>(name: OptionName, value: string, known: readonly T[]): T[] {
  return [...new Set(value.split(',').map((part) => oneOf(name, part.trim(), known)))];
}

function seconds(name: OptionName, value: string): number {
  if (!/^[0-9]{1,5}$/.test(value)) throw invalid(`--${name} is "${value}": write a whole number of seconds`);
  return Number(value) * 1000;
}

function invalid(message: string): DriverError {
  return new DriverError('INVALID_ARGUMENT', message);
}

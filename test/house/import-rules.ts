import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import ts from 'typescript';

/** Whether an import runs code of the other file, or only borrows its types (`import type`, gone after compilation). */
export type Use = 'value' | 'types';

export interface FoundImport {
  readonly specifier: string;
  readonly use: Use;
  readonly line: number;
}

interface RoomRule {
  /** Other rooms, and how far they may be used. Files of the same room may always import each other. */
  readonly rooms: Readonly<Record<string, Use>>;
  readonly packages: Readonly<Record<string, Use>>;
  readonly builtins: boolean;
}

const NO_PACKAGES = {};
const BACKEND_KINDS = ['rbd', 'cephfs'];

const backendKind: RoomRule = {
  rooms: { domain: 'value', backend: 'value', 'ceph contract': 'value', platform: 'value' },
  packages: { 'mount-utils-ts': 'value', uuid: 'value', leven: 'value' },
  builtins: true,
};

/** The table of the design, room by room. main.ts is not in it: it may import everything. */
const RULES: Readonly<Record<string, RoomRule>> = {
  config: {
    rooms: { domain: 'value', platform: 'value', ceph: 'types', 'ceph contract': 'types' },
    packages: { yaml: 'value', zod: 'value' },
    builtins: true,
  },
  csi: {
    rooms: { controller: 'types', node: 'types', backend: 'types', domain: 'value', platform: 'value' },
    packages: { '@grpc/grpc-js': 'value', 'google-protobuf': 'value' },
    builtins: true,
  },
  controller: {
    rooms: { domain: 'value', backend: 'value', platform: 'value' },
    packages: NO_PACKAGES,
    builtins: true,
  },
  node: {
    rooms: { domain: 'value', backend: 'value', platform: 'value' },
    packages: { 'mount-utils-ts': 'value' },
    builtins: true,
  },
  backend: {
    rooms: { domain: 'value', platform: 'value' },
    packages: { uuid: 'value', leven: 'value' },
    builtins: true,
  },
  ...Object.fromEntries(BACKEND_KINDS.map((kind) => [`backend/${kind}`, backendKind])),
  ceph: {
    rooms: { 'ceph contract': 'value', domain: 'value', platform: 'value' },
    packages: { koffi: 'value', 'p-limit': 'value' },
    builtins: true,
  },
  'ceph contract': {
    rooms: { ceph: 'value', domain: 'value', platform: 'value' },
    packages: { koffi: 'value', 'p-limit': 'value' },
    builtins: true,
  },
  platform: {
    rooms: { domain: 'value' },
    packages: { execa: 'value', pino: 'value', 'prom-client': 'value', 'mount-utils-ts': 'types' },
    builtins: true,
  },
  holder: { rooms: { domain: 'value', platform: 'value' }, packages: NO_PACKAGES, builtins: true },
  domain: { rooms: {}, packages: NO_PACKAGES, builtins: false },
  'mount-utils-ts': { rooms: {}, packages: NO_PACKAGES, builtins: true },
};

const CEPH_CONTRACT = [
  'src/ceph/client.ts',
  'src/ceph/file-system.ts',
  'src/ceph/clusters.ts',
  'src/ceph/ceph-error.ts',
];
const MOUNT_UTILS = 'packages/mount-utils-ts/src/';
// Programs are run in one place, so that locale, time limits and secrets are decided once.
const RUNS_PROGRAMS = ['platform'];

/** Which room a file belongs to; 'main' for src/main.ts, undefined when it stands outside of every room. */
export function roomOf(path: string): string | undefined {
  if (path === 'src/main.ts') return 'main';
  if (path.startsWith(MOUNT_UTILS)) return 'mount-utils-ts';
  if (CEPH_CONTRACT.includes(path)) return 'ceph contract';
  const [src, room = '', inner = '', ...deeper] = path.split('/');
  if (src !== 'src' || inner === '') return undefined;
  const name = room === 'backend' && deeper.length > 0 ? `backend/${inner}` : room;
  return name in RULES ? name : undefined;
}

/** One sentence for each import that reaches where it may not. Keys are paths from the top of the repository. */
export function importViolations(files: ReadonlyMap<string, string>): string[] {
  return [...files].flatMap(([path, text]) => violationsIn(path, text));
}

function violationsIn(path: string, text: string): string[] {
  const room = roomOf(path);
  if (room === undefined) return [`${path} stands in no room of the house`];
  const rule = RULES[room];
  if (rule === undefined) return []; // main
  return findImports(path, text).flatMap((found) => {
    const why = refusal(path, room, rule, found);
    return why === undefined ? [] : [`${path}:${found.line} ${why}`];
  });
}

function refusal(path: string, room: string, rule: RoomRule, found: FoundImport): string | undefined {
  const { specifier, use } = found;
  if (specifier === '') return 'imports a name that is computed, which no rule can judge';
  if (isBuiltin(specifier)) {
    if (!rule.builtins) return `imports ${specifier}: ${room} may import nothing of Node`;
    const runsPrograms = /^(?:node:)?child_process$/.test(specifier) && use === 'value';
    return runsPrograms && !RUNS_PROGRAMS.includes(room) ? 'runs programs: only platform may' : undefined;
  }
  if (!specifier.startsWith('.')) {
    const name = packageName(specifier);
    return judge(`the package ${name}`, room, rule.packages[name], use);
  }
  const target = posix.join(posix.dirname(path), specifier).replace(/\.js$/, '.ts');
  const targetRoom = roomOf(target);
  if (targetRoom === room) return undefined;
  if (targetRoom === undefined || targetRoom === 'mount-utils-ts')
    return `imports ${specifier}, which is no room's file`;
  return judge(targetRoom, room, rule.rooms[targetRoom], use);
}

function judge(what: string, room: string, allowed: Use | undefined, use: Use): string | undefined {
  if (allowed === undefined) return `imports ${what}: ${room} may not`;
  return allowed === 'types' && use === 'value'
    ? `imports values of ${what}: ${room} may import only its types`
    : undefined;
}

function packageName(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

/** Static and dynamic imports, re-exports, require() and import('...') types of one source text. */
export function findImports(path: string, text: string): FoundImport[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found: FoundImport[] = [];
  const add = (node: ts.Node, specifier: ts.Node | undefined, use: Use): void => {
    const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
    found.push({
      specifier: specifier !== undefined && ts.isStringLiteralLike(specifier) ? specifier.text : '',
      use,
      line,
    });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      // `import { type A }` still runs the other file under verbatimModuleSyntax: only `import type` does not.
      const isType = node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
      add(node, node.moduleSpecifier, isType ? 'types' : 'value');
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
      add(node, node.moduleSpecifier, node.isTypeOnly ? 'types' : 'value');
    } else if (ts.isImportTypeNode(node)) {
      add(node, ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, 'types');
    } else if (ts.isExternalModuleReference(node)) {
      add(node, node.expression, 'value');
    } else if (ts.isCallExpression(node) && isImportCall(node)) {
      add(node, node.arguments[0], 'value');
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function isImportCall(node: ts.CallExpression): boolean {
  if (node.expression.kind === ts.SyntaxKind.ImportKeyword) return true;
  return ts.isIdentifier(node.expression) && node.expression.text === 'require';
}

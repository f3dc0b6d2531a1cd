/** Two readings of the wire contract, as comparable lines: the facts in csi-1.13-wire.txt, and the compiled proto/csi.proto. */

interface Options {
  readonly options?: Readonly<Record<string, boolean>>;
}

interface Range {
  readonly start: number;
  readonly end: number;
}

export interface FieldDescriptor extends Options {
  readonly name: string;
  readonly number: number;
  readonly label: string;
  readonly type: string;
  readonly typeName?: string;
  readonly oneofIndex?: number;
  readonly proto3Optional?: boolean;
}

interface EnumDescriptor extends Options {
  readonly name: string;
  readonly value: readonly (Options & { readonly name: string; readonly number: number })[];
  readonly reservedRange?: readonly Range[];
  readonly reservedName?: readonly string[];
}

export interface MessageDescriptor extends Options {
  readonly name: string;
  readonly field?: readonly FieldDescriptor[];
  readonly nestedType?: readonly MessageDescriptor[];
  readonly enumType?: readonly EnumDescriptor[];
  readonly oneofDecl?: readonly { readonly name: string }[];
  readonly reservedRange?: readonly Range[];
  readonly reservedName?: readonly string[];
}

interface ServiceDescriptor extends Options {
  readonly name: string;
  readonly method: readonly (Options & {
    readonly name: string;
    readonly inputType: string;
    readonly outputType: string;
    readonly clientStreaming?: boolean;
    readonly serverStreaming?: boolean;
  })[];
}

/** The part of google.protobuf.FileDescriptorProto, in its JSON form, that the contract is made of. */
export interface FileDescriptor {
  readonly name: string;
  readonly package: string;
  readonly syntax: string;
  readonly dependency: readonly string[];
  readonly messageType: readonly MessageDescriptor[];
  readonly enumType: readonly EnumDescriptor[];
  readonly service: readonly ServiceDescriptor[];
  readonly extension: readonly (FieldDescriptor & { readonly extendee: string })[];
}

/** The facts file as lines: `message`, `field`, `oneof`, `enum`, `value`, `reserved`, `service` and `rpc`, with full names. */
export function factsOfText(text: string): string[] {
  const [header, body] = splitHeader(text);
  const facts = [...header.matchAll(/(\w+)\{([\w|]+)\}(?: \((\w+)\))?/g)].map(
    ([, message, members]) => `oneof csi.v1.${String(message)} ${String(members)}`,
  );
  // The names of the declarations that enclose the current line, outermost first, and the indent of each.
  const scope: { readonly name: string; readonly indent: number }[] = [];
  for (const line of body.split('\n').filter((each) => each.trim() !== '')) {
    const indent = line.search(/\S/);
    const [declaration, flags] = splitFlags(line.trim());
    const [, keyword, name, reserved] = /^(message|enum|service) (\w+)(?: reserved=(.*))?$/.exec(declaration) ?? [];
    while ((scope.at(-1)?.indent ?? -1) >= indent) scope.pop();
    if (keyword !== undefined && name !== undefined) {
      scope.push({ name, indent });
      facts.push(`${keyword} ${fullName(scope)}${flags}`, ...reservedOfText(keyword, fullName(scope), reserved ?? ''));
    } else {
      facts.push(`${kindOf(declaration)} ${fullName(scope)} ${declaration}${flags}`);
    }
  }
  return facts.sort();
}

function splitHeader(text: string): [string, string] {
  const lines = text.split('\n');
  const isComment = (line: string) => line.startsWith('#');
  return [lines.filter(isComment).join('\n'), lines.filter((line) => !isComment(line)).join('\n')];
}

function splitFlags(declaration: string): [string, string] {
  const [, rest, flags] = /^(.*?)(?: \[((?:SECRET|ALPHA)(?:,ALPHA)?)\])?$/.exec(declaration) ?? [];
  return [rest ?? '', flags === undefined ? '' : ` [${flags}]`];
}

function kindOf(declaration: string): string {
  if (declaration.startsWith('rpc ')) return 'rpc';
  return /^\w+ = \d+$/.test(declaration) ? 'value' : 'field';
}

function fullName(scope: readonly { readonly name: string }[]): string {
  return ['csi.v1', ...scope.map(({ name }) => name)].join('.');
}

function reservedOfText(keyword: string, owner: string, reserved: string): string[] {
  const ranges = [...reserved.matchAll(/\(1, (\d+)\), \(2, (\d+)\)/g)];
  return ranges.map(([, start, end]) =>
    reservedFact(owner, Number(start), Number(end) - (keyword === 'message' ? 1 : 0)),
  );
}

function reservedFact(owner: string, first: number, last: number): string {
  return `reserved ${owner} ${first}-${last}`;
}

/** The same lines, out of what the compiler made of proto/csi.proto. */
export function factsOfDescriptor(file: FileDescriptor): string[] {
  return [
    ...file.messageType.flatMap((message) => messageFacts(file.package, message)),
    ...file.enumType.flatMap((each) => enumFacts(file.package, each)),
    ...file.service.flatMap((service) => serviceFacts(file.package, service)),
  ].sort();
}

function messageFacts(parent: string, message: MessageDescriptor): string[] {
  const owner = `${parent}.${message.name}`;
  const fields = message.field ?? [];
  const nested = message.nestedType ?? [];
  const membersOf = (index: number) => fields.filter((field) => field.oneofIndex === index).map(({ name }) => name);
  return [
    `message ${owner}${flagsOf(message)}`,
    ...fields.map((field) => `field ${owner} ${fieldType(field)} ${field.name} = ${field.number}${flagsOf(field)}`),
    ...(message.oneofDecl ?? []).map((_, index) => `oneof ${owner} ${membersOf(index).join('|')}`),
    ...(message.reservedRange ?? []).map(({ start, end }) => reservedFact(owner, start, end - 1)),
    ...(message.reservedName ?? []).map((name) => `reserved ${owner} ${name}`),
    ...(message.enumType ?? []).flatMap((each) => enumFacts(owner, each)),
    // The facts write a map<string, string> as the repeated entry that it is on the wire, and don't list the entry itself.
    ...nested.filter((each) => !isStringMapEntry(each)).flatMap((each) => messageFacts(owner, each)),
  ];
}

function isStringMapEntry(message: MessageDescriptor): boolean {
  const shape = (message.field ?? []).map((field) => `${fieldType(field)} ${field.name} = ${field.number}`).join();
  return message.options?.mapEntry === true && shape === 'string key = 1,string value = 2';
}

function fieldType(field: FieldDescriptor): string {
  const type = field.typeName ?? field.type.replace('TYPE_', '').toLowerCase();
  const presence = field.proto3Optional === true ? 'optional ' : '';
  return field.label === 'LABEL_REPEATED' ? `repeated ${type}` : presence + type;
}

function enumFacts(parent: string, each: EnumDescriptor): string[] {
  const owner = `${parent}.${each.name}`;
  return [
    `enum ${owner}${flagsOf(each)}`,
    ...each.value.map((value) => `value ${owner} ${value.name} = ${value.number}${flagsOf(value)}`),
    ...(each.reservedRange ?? []).map(({ start, end }) => reservedFact(owner, start, end)),
    ...(each.reservedName ?? []).map((name) => `reserved ${owner} ${name}`),
  ];
}

function serviceFacts(parent: string, service: ServiceDescriptor): string[] {
  const owner = `${parent}.${service.name}`;
  const rpcs = service.method.map((method) => {
    const streams = `${method.clientStreaming === true ? ' CLIENT-STREAM' : ''}${method.serverStreaming === true ? ' STREAM' : ''}`;
    return `rpc ${owner} rpc ${method.name}(${method.inputType}) ${method.outputType}${streams}${flagsOf(method)}`;
  });
  return [`service ${owner}${flagsOf(service)}`, ...rpcs];
}

/** The options as the facts show them; one that the facts don't know shows up under its own name. */
function flagsOf({ options }: Options): string {
  const flags = Object.entries(options ?? {}).flatMap(([name, isSet]) => (isSet ? [flagName(name)] : []));
  return flags.length === 0 ? '' : ` [${flags.sort().reverse().join()}]`;
}

function flagName(option: string): string {
  if (option === '[csi.v1.csi_secret]') return 'SECRET';
  return /^\[csi\.v1\.alpha_(enum|enum_value|field|message|method|service)\]$/.test(option) ? 'ALPHA' : option;
}

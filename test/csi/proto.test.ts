import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import t from 'tap';
import { csi } from '../../src/csi/gen/csi.js';
import { google as wrappers } from '../../src/csi/gen/google/protobuf/wrappers.js';
import { repositoryRoot } from '../house/read-sources.js';
import { compileProto } from './buf.js';
import { factsOfDescriptor, factsOfText } from './wire-facts.js';

const root = repositoryRoot();
const factsText = fs.readFileSync(path.join(root, 'test/csi/csi-1.13-wire.txt'), 'utf8');
const files = compileProto();
const [descriptor] = files;

void t.test('the generated code is what proto/csi.proto gives', (t) => {
  const result = spawnSync(process.execPath, [path.join(root, 'scripts/generate-proto.mjs'), '--check']);
  t.equal(result.status, 0, result.stderr.toString());
  t.end();
});

void t.test('proto/csi.proto states every fact of the wire contract, and nothing else', (t) => {
  const wanted = factsOfText(factsText);
  const found = factsOfDescriptor(descriptor);
  t.ok(wanted.length > 400, 'the facts were read');
  t.same(
    wanted.filter((fact) => !found.includes(fact)),
    [],
    'nothing is missing',
  );
  t.same(
    found.filter((fact) => !wanted.includes(fact)),
    [],
    'nothing is extra',
  );
  t.equal(found.length, wanted.length, 'nothing is stated twice');
  t.end();
});

void t.test('the file, its imports and its options have the names and numbers of the specification', (t) => {
  t.equal(files.length, 1);
  t.match(descriptor, { name: 'csi.proto', package: 'csi.v1', syntax: 'proto3' });
  t.same(descriptor.dependency, [
    'google/protobuf/descriptor.proto',
    'google/protobuf/timestamp.proto',
    'google/protobuf/wrappers.proto',
  ]);
  t.same(
    descriptor.extension.map(({ extendee, name, number, type }) => `${extendee} ${name} ${number} ${type}`),
    [
      '.google.protobuf.EnumOptions alpha_enum 1060 TYPE_BOOL',
      '.google.protobuf.EnumValueOptions alpha_enum_value 1060 TYPE_BOOL',
      '.google.protobuf.FieldOptions csi_secret 1059 TYPE_BOOL',
      '.google.protobuf.FieldOptions alpha_field 1060 TYPE_BOOL',
      '.google.protobuf.MessageOptions alpha_message 1060 TYPE_BOOL',
      '.google.protobuf.MethodOptions alpha_method 1060 TYPE_BOOL',
      '.google.protobuf.ServiceOptions alpha_service 1060 TYPE_BOOL',
    ],
  );
  t.end();
});

void t.test('every RPC of the contract has a generated definition on its path, and no other has', (t) => {
  const definitions: Record<string, { readonly path: string; readonly responseStream: boolean }>[] = [
    csi.v1.UnimplementedIdentityService.definition,
    csi.v1.UnimplementedControllerService.definition,
    csi.v1.UnimplementedGroupControllerService.definition,
    csi.v1.UnimplementedSnapshotMetadataService.definition,
    csi.v1.UnimplementedNodeService.definition,
  ];
  const generated = definitions.flatMap((definition) =>
    Object.values(definition).map((method) => `${method.path} ${method.responseStream}`),
  );
  const stated = descriptor.service.flatMap((service) =>
    service.method.map((method) => `/csi.v1.${service.name}/${method.name} ${method.serverStreaming === true}`),
  );
  t.same(generated.sort(), stated.sort());
  t.end();
});

void t.test(
  'a gRPC server serves the generated definitions, and answers UNIMPLEMENTED for what it leaves out',
  async (t) => {
    // t.testdir() may be too long for the name of a socket.
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'proto-'));
    const address = `unix:${path.join(dir, 'csi.sock')}`;
    const server = new grpc.Server();
    const probe: grpc.handleUnaryCall<csi.v1.ProbeRequest, csi.v1.ProbeResponse> = (_call, callback) => {
      callback(null, new csi.v1.ProbeResponse({ ready: new wrappers.protobuf.BoolValue({ value: true }) }));
    };
    server.addService(csi.v1.UnimplementedIdentityService.definition, { Probe: probe });
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
    const client = new csi.v1.IdentityClient(address, grpc.credentials.createInsecure());
    t.teardown(() => {
      client.close();
      server.forceShutdown();
      fs.rmSync(dir, { recursive: true });
    });

    const ready = await new Promise<boolean | undefined>((resolve, reject) => {
      client.Probe(new csi.v1.ProbeRequest(), (error, response) => {
        if (error === null) resolve(response?.ready?.value);
        else reject(error);
      });
    });
    t.equal(ready, true);
    const code = await new Promise<grpc.status | undefined>((resolve) => {
      client.GetPluginInfo(new csi.v1.GetPluginInfoRequest(), (error) => {
        resolve(error?.code);
      });
    });
    t.equal(code, grpc.status.UNIMPLEMENTED);
  },
);

import { readFileSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import t from 'tap';
import { csi } from '../../src/csi/gen/csi.js';
import { makeCephxKey } from '../domain/make-cephx-key.js';
import { type Driver, removeDirectory, startDriver } from '../harness/driver.js';
import { mountCapability } from '../harness/requests.js';
import { repositoryRoot } from '../house/read-sources.js';

const proto = readFileSync(join(repositoryRoot(), 'proto/csi.proto'), 'utf8');

interface SecretField {
  readonly message: string;
  readonly field: string;
}

/** Every field that the contract marks as secret, with the message that it is in. */
function secretFields(): SecretField[] {
  let message = '';
  return proto.split('\n').flatMap((line) => {
    message = /^message (\w+)/.exec(line)?.[1] ?? message;
    const field = /^\s+\S.* (\w+) = \d+ \[.*\(csi_secret\) = true/.exec(line)?.[1];
    return field === undefined ? [] : [{ message, field }];
  });
}

/** The path of the RPC that takes this message. */
function pathOf(message: string): string {
  let service = '';
  for (const line of proto.replaceAll(/\(\s+/g, '(').split('\n')) {
    service = /^service (\w+)/.exec(line)?.[1] ?? service;
    const [, method, request] = /^\s+rpc (\w+)\s*\((\w+)\)/.exec(line) ?? [];
    if (request === message) return `/csi.v1.${service}/${method ?? ''}`;
  }
  throw new Error(`no RPC takes ${message}`);
}

interface Message {
  serializeBinary(): Uint8Array;
}

/** Sends a request that is right in everything else, so that it goes as far as it can; returns how it failed. */
async function send(driver: Driver, { message, field }: SecretField, secrets: Map<string, string>) {
  const Request = (csi.v1 as unknown as Record<string, new () => Message>)[message];
  if (Request === undefined) throw new Error(`there is no class ${message}`);
  const request = new Request();
  const fields: Record<string, unknown> = {
    name: 'a',
    volume_id: 'rbd:a:rbd::image',
    volume_capability: mountCapability(),
    volume_capabilities: [mountCapability()],
    staging_target_path: join(driver.runDir, 'stage'),
    target_path: join(driver.runDir, 'target'),
    volume_path: driver.runDir,
    [field]: secrets,
  };
  for (const [name, value] of Object.entries(fields)) if (name in request) Reflect.set(request, name, value);
  const client = new Client(`unix:${driver.socketPath}`, credentials.createInsecure());
  return new Promise<ServiceError | null>((resolve) => {
    const serialize = (value: Message) => Buffer.from(value.serializeBinary());
    client.makeUnaryRequest(
      pathOf(message),
      serialize,
      (bytes) => bytes,
      request,
      { deadline: Date.now() + 20_000 },
      (error) => {
        client.close();
        resolve(error);
      },
    );
  });
}

/** A port at which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

t.test('a secret of any request is neither in the log nor in the error nor in /proc', async (t) => {
  const all = secretFields();
  t.equal(all.length, proto.match(/\(csi_secret\) = true/g)?.length, 'every mark in the contract is found');
  t.ok(all.length >= 20);

  const directory = await mkdtemp(join(tmpdir(), 'cs-'));
  const monitors = `127.0.0.1:${await closedPort()}`;
  const config = `clusters: [{ id: a, monitors: "${monitors}", timeouts: { connectSeconds: 1, monSeconds: 1, osdSeconds: 1 } }]`;
  const driver = await startDriver({ directory, config, logLevel: 'trace' });
  t.teardown(async () => {
    await driver.stop();
    await removeDirectory(directory);
  });

  const sent: string[] = [];
  const errors: { path: string; error: ServiceError | null; asked: 'bad' | 'good' }[] = [];
  const seen: string[] = [];
  for (const [i, field] of all.entries()) {
    const bad = `marker-${i}-of-a-key`;
    const good = makeCephxKey(100 + i);
    sent.push(bad, good);
    for (const [asked, key] of [
      ['bad', bad],
      ['good', good],
    ] as const) {
      const secrets = new Map([
        ['userID', 'kube'],
        ['userKey', key],
        ['other', bad],
      ]);
      const sending = send(driver, field, secrets);
      seen.push(await readFile(`/proc/${driver.pid}/cmdline`, 'utf8'));
      errors.push({ path: pathOf(field.message), error: await sending, asked });
      seen.push(await readFile(`/proc/${driver.pid}/environ`, 'utf8'));
    }
  }

  const log = await driver.log();
  const codeOf = (asked: string, method: string) =>
    errors.find((one) => one.asked === asked && one.path.endsWith(`/${method}`))?.error?.code;
  for (const method of ['ControllerListVolumeHealth', 'NodeGetStorageHealth'])
    t.equal(codeOf('bad', method), status.INVALID_ARGUMENT, `${method} has looked at its secrets`);
  for (const method of [
    'CreateVolume',
    'DeleteVolume',
    'ValidateVolumeCapabilities',
    'ControllerGetVolumeHealth',
    'NodeStageVolume',
  ]) {
    t.equal(codeOf('bad', method), status.INVALID_ARGUMENT, `${method} has looked at its secrets`);
    t.equal(codeOf('good', method), status.UNAVAILABLE, `${method} has gone to the cluster with them`);
    t.match(log, `"rpc":"${method}"`);
  }
  t.ok(seen.every((text) => text.length > 0));
  for (const secret of sent) {
    const where = [
      ...(log.includes(secret) ? ['log'] : []),
      ...errors
        .filter(
          ({ error }) =>
            error !== null &&
            (JSON.stringify(error.metadata.getMap()).includes(secret) || error.message.includes(secret)),
        )
        .map(({ path }) => path),
      ...(seen.some((text) => text.includes(secret)) ? ['/proc'] : []),
    ];
    if (where.length > 0) t.fail(`${secret} is seen in: ${where.join(', ')}`);
  }
});

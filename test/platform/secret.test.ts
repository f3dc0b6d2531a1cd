import { format, inspect } from 'node:util';
import t from 'tap';
import { Secret } from '../../src/platform/secret.js';
import { testContext } from './test-context.js';

const value = 'marker-4b1f-never-shown';
const secret = new Secret(value);
const nested = { user: 'kube', list: [{ key: secret }], map: new Map([['key', secret]]), error: { cause: secret } };

const shown: readonly [string, () => string][] = [
  ['String()', () => String(secret)],
  // eslint-disable-next-line @typescript-eslint/restrict-template-expressions -- what happens then is what is tested
  ['a template', () => `${secret}`],
  ['concatenation', () => 'a' + secret.toString()],
  ['JSON', () => JSON.stringify(secret)],
  ['JSON of an object that holds it', () => JSON.stringify({ ...nested, map: [...nested.map] })],
  ['inspect', () => inspect(secret)],
  ['inspect with everything switched on', () => inspect(nested, { depth: 9, showHidden: true, customInspect: true })],
  ['inspect without custom functions', () => inspect(nested, { depth: 9, showHidden: true, customInspect: false })],
  ['format with %o', () => format('%o %O %s %j', secret, nested, secret, secret)],
  ['its own keys', () => Object.entries(secret).join() + Reflect.ownKeys(secret).join()],
];

for (const [where, show] of shown) {
  t.test(`a secret is not seen in ${where}`, (t) => {
    const text = show();
    t.notOk(text.includes(value), text);
    if (!where.startsWith('its') && !where.startsWith('inspect without')) t.match(text, /\*\*\*/);
    t.end();
  });
}

t.test('a secret is not seen in a log line, at any depth, nor in a logged error', (t) => {
  const { log, lines } = testContext();
  log.trace({ secret, nested }, 'a line with a secret');
  log.trace(secret, 'the secret itself');
  log.error({ err: Object.assign(new Error('failed'), { key: secret }) });
  log.info('%s %o %j', secret, secret, nested);
  t.equal(lines.length, 4);
  t.notOk(JSON.stringify(lines).includes(value));
  t.equal(lines[0]?.secret, '***');
  t.end();
});

t.test('only reveal() gives the value out', (t) => {
  t.equal(secret.reveal(), value);
  t.notOk(JSON.stringify(structuredClone(secret)).includes(value));
  t.end();
});

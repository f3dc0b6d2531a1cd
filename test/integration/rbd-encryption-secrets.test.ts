import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import t from 'tap';
import { mib } from './encrypted.js';
import { outcomeOf } from './outcome.js';
import { formsOf, sampler } from './secret-search.js';
import { Site } from './site.js';

t.setTimeout(200_000);

const site = await Site.open(t, { logLevel: 'trace' });
const { cluster, pool } = site;
/** With the rights that the documentation asks for, and no more. */
const user = `it-encryption-${pool}`;
const userKey = await cluster.createUser(user, { mon: 'profile rbd', osd: `profile rbd pool=${pool}` });
t.teardown(async () => cluster.removeUser(user));
const create = { parameters: { pool, encrypted: 'true' }, requiredBytes: 32n * mib };

t.test(
  "in an encrypted volume's whole life its passphrase is in no argument, environment, file, log line or error",
  async (t) => {
    const life = site.life(t);
    const passphrase = randomBytes(24).toString('base64');
    const wrong = randomBytes(24).toString('base64');
    const own = { userID: user, userKey };
    const secrets = { ...own, encryptionPassphrase: passphrase };
    const forms = [...formsOf(passphrase), ...formsOf(wrong)];
    const watch = sampler(site.directory, forms);
    const messages: string[] = [];
    const note = async (work: Promise<unknown>) => messages.push((await outcomeOf(work)).message);
    const { id, context } = await life.create({ ...create, secrets });
    const use = { context, secrets };
    for (let round = 0; round < 2; round++) {
      const paths = await life.attach(id, use);
      await life.rpc.stats(id, paths.targetPath);
      await life.rpc.expand(id, BigInt(48 + round * 16) * mib, 0n, secrets);
      await life.detach(id, paths);
      await note(life.rpc.stage(id, site.path('stage'), { context, secrets: { ...own, encryptionPassphrase: wrong } }));
      await note(
        life.rpc.create('odd', { ...create, secrets, parameters: { ...create.parameters, encrypted: 'odd' } }),
      );
      await note(life.rpc.stage(id, site.path('stage'), { context: { ...context, mounter: 'krbd' }, secrets }));
    }
    const { hits, rounds } = await watch.stop();
    t.same(hits, []);
    t.ok(rounds > 10, `it looked ${rounds} times`);
    const log = await readFile(site.driver.logFile);
    t.ok(log.includes('made a LUKS header'), 'the log has been read');
    t.ok(messages.filter((message) => message !== '').length >= 4, 'the errors have been read');

    for (const form of forms)
      for (const message of messages) t.notOk(Buffer.from(message).includes(form), message.slice(0, 60));
    for (const form of forms) t.notOk(log.includes(form), 'the log at level trace');
  },
);

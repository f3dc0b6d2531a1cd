import t from 'tap';
import { addToBlocklist, blocklistRefusals, removeFromBlocklist } from '../../src/ceph/blocklist.js';
import { cephError, errno } from '../../src/ceph/ceph-error.js';

const call = {
  clusterId: 'a',
  monitors: 'm',
  user: 'kube',
  doing: 'fence the client at 10.0.0.1:0/1',
  meanings: blocklistRefusals,
};

/** A monitor that knows these commands. */
function monitor(known: string) {
  const asked: Record<string, unknown>[] = [];
  const run = async (command: Readonly<Record<string, unknown>>) => {
    asked.push(command);
    return command.prefix === known ? Promise.resolve('') : Promise.reject(cephError(-errno.EINVAL, call));
  };
  return { asked, run };
}

t.test('a client is fenced for a year, by the form of its address that capabilities allow', async (t) => {
  const { asked, run } = monitor('osd blocklist');
  for (const address of ['10.0.0.1:0/1', 'v1:10.0.0.1:0/1', 'v2:10.0.0.1:0/1']) await addToBlocklist(run, address);
  for (const one of asked) t.match(one, { blocklistop: 'add', addr: '10.0.0.1:0/1' });
  t.match(JSON.stringify(asked[0]), /"expire":31536000\.5/, 'with a fraction: a monitor takes no whole number');
  await removeFromBlocklist(run, '10.0.0.1:0/1');
  t.strictSame(asked.at(-1), { prefix: 'osd blocklist', blocklistop: 'rm', addr: '10.0.0.1:0/1' });
});

t.test('before Pacific the command has its older name', async (t) => {
  const { asked, run } = monitor('osd blacklist');
  await addToBlocklist(run, '10.0.0.1:0/1');
  t.match(asked[1], { prefix: 'osd blacklist', blacklistop: 'add', addr: '10.0.0.1:0/1' });
});

t.test('a refusal names the capability that is missing', (t) => {
  const { code, message } = cephError(-errno.EACCES, call);
  t.equal(code, 'PERMISSION_DENIED');
  t.match(message, /client\.kube lacks the mon capability.*'profile rbd'.*allow command "osd blocklist"/);
  t.end();
});

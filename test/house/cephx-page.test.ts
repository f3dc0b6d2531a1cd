import { execFileSync } from 'node:child_process';
import t from 'tap';
import { capsPage, documentedCaps, documentedCapsOfBoth } from '../harness/documented-users.js';

t.test("the commands of docs/cephx.md have the table's capabilities of both kinds", (t) => {
  for (const user of ['controller', 'node'] as const) {
    const command = new RegExp(`^ceph auth get-or-create client\\.cuttle-${user} [^]*?[^\\\\]$`, 'm').exec(
      capsPage,
    )?.[0];
    const words = execFileSync('bash', ['-c', `printf '%s\\n' ${(command ?? '').replace('ceph ', '')}`], {
      encoding: 'utf8',
    });
    const [, , , ...caps] = words.trimEnd().split('\n');
    const pairs = Object.entries(documentedCapsOfBoth(user)).flat();
    t.strictSame(caps, pairs, user);
  }
  t.end();
});

t.test('what the page gives as an example is replaced, and nothing else', (t) => {
  t.strictSame(documentedCaps('controller', 'CephFS', { fsName: 'files', path: '/a' }), {
    mon: 'allow r, allow command "osd blocklist"',
    osd: 'allow rw tag cephfs data=files',
    mds: 'allow rwps path=/a',
  });
  t.strictSame(documentedCaps('node', 'RBD', { pool: 'ssd' }), { mon: 'profile rbd', osd: 'profile rbd pool=ssd' });
  t.end();
});

t.test('nobody is given all', (t) => {
  t.notMatch(capsPage, /(mon|osd|mds|mgr) '[^']*allow \*/);
  t.end();
});

import t from 'tap';
import { socketPathOf } from '../../src/platform/socket.js';

for (const [endpoint, path] of [
  ['unix:///run/csi.sock', '/run/csi.sock'],
  ['unix:/run/csi.sock', '/run/csi.sock'],
  ['/run/csi.sock', '/run/csi.sock'],
] as const) {
  t.test(`the endpoint ${endpoint} is the socket ${path}`, (t) => {
    t.equal(socketPathOf(endpoint), path);
    t.end();
  });
}

for (const endpoint of ['', 'tcp://127.0.0.1:1', 'unix:run/csi.sock', 'csi.sock', 'UNIX:///a']) {
  t.test(`the endpoint "${endpoint}" is refused with what one looks like`, (t) => {
    t.throws(() => socketPathOf(endpoint), {
      code: 'INVALID_ARGUMENT',
      message: /^--endpoint ".*" is no unix socket: write unix:\/\/\/path/,
    });
    t.end();
  });
}

t.test('a path that no unix socket can have is refused before anything is bound', (t) => {
  const longest = `/${'a'.repeat(106)}`;
  t.equal(socketPathOf(`unix://${longest}`), longest);
  t.throws(() => socketPathOf(`unix://${longest}a`), { code: 'INVALID_ARGUMENT', message: /longer than 107 bytes/ });
  t.throws(() => socketPathOf(`/${'ö'.repeat(54)}`), { message: /107 bytes/ }, 'bytes, not letters');
  t.end();
});

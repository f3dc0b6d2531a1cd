import t from 'tap';
import { formatPageToken, parsePageToken } from '../../src/backend/page-token.js';

t.test('a place is read back as it was written, whatever its names hold', (t) => {
  const place = ['a:b', '猫 "quoted"', ''];
  t.strictSame(parsePageToken(formatPageToken(place), 3), place);
  t.end();
});

for (const token of ['', 'garbage', formatPageToken(['a', 'b']), Buffer.from('[1,2,3]').toString('base64url'), '{}']) {
  t.test(`${token === '' ? 'nothing' : token} is no token for a place of three parts`, (t) => {
    t.throws(() => parsePageToken(token, 3), { code: 'ABORTED', message: /start again without it/ });
    t.end();
  });
}

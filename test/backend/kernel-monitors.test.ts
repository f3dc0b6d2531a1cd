import t from 'tap';
import { kernelMonitors } from '../../src/backend/kernel-monitors.js';

const monitors: readonly [string, boolean, string, boolean][] = [
  ['10.0.0.1', false, '10.0.0.1', false],
  ['10.0.0.1:6789, 10.0.0.2;mon.example', false, '10.0.0.1:6789,10.0.0.2,mon.example', false],
  ['[v2:10.0.0.1:3300,v1:10.0.0.1:6789]', false, '10.0.0.1:6789', false],
  [
    '[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0] [v2:10.0.0.2:3300/0,v1:10.0.0.2:6789/0]',
    false,
    '10.0.0.1:6789,10.0.0.2:6789',
    false,
  ],
  [
    '[v2:10.0.0.1:3300,v1:10.0.0.1:6789],[v2:10.0.0.2:3300,v1:10.0.0.2:6789]',
    true,
    '10.0.0.1:3300,10.0.0.2:3300',
    true,
  ],
  ['[v2:10.0.0.1:3300],[v2:10.0.0.2:3300]', false, '10.0.0.1:3300,10.0.0.2:3300', true],
  ['v1:10.0.0.1:6789,v1:10.0.0.2:6789', true, '10.0.0.1:6789,10.0.0.2:6789', false],
  ['[v2:[fd00::1]:3300/0,v1:[fd00::1]:6789/0],[fd00::2]:6789', false, '[fd00::1]:6789,[fd00::2]:6789', false],
];

for (const [monHost, preferV2, addresses, v2] of monitors) {
  t.test(`mon_host ${monHost}${preferV2 ? ', v2 preferred,' : ''} is ${addresses} for the kernel`, (t) => {
    t.strictSame(kernelMonitors(monHost, preferV2), { addresses, v2 });
    t.end();
  });
}

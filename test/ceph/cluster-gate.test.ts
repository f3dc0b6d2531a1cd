import t from 'tap';
import { ClusterGate } from '../../src/ceph/cluster-gate.js';

t.test('work that takes hours leaves a suspect cluster open to the others', async (t) => {
  const gate = new ClusterGate(16);
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const hours = Array.from({ length: 6 }, async () => gate.enter(async () => ended, true));
  gate.silent();
  t.equal(await gate.enter(async () => Promise.resolve('answered')), 'answered');
  end();
  await Promise.all(hours);
});

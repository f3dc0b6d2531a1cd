import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const stoppedWithinMs = 5_000;

/** SIGSTOP, and waits until every thread has stopped: until then some still answer. */
export async function stopProcess(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  const end = Date.now() + stoppedWithinMs;
  while (!(await isStopped(pid))) {
    if (Date.now() > end) throw new Error(`process ${pid} does not stop`);
    await sleep(2);
  }
}

/** proc_pid_stat(5): the state follows the name, which stands in parentheses. */
async function isStopped(pid: number): Promise<boolean> {
  const threads = await readdir(`/proc/${pid}/task`);
  const states = await Promise.all(
    threads.map(async (thread) => {
      const stat = await readFile(`/proc/${pid}/task/${thread}/stat`, 'utf8').catch(() => ') T');
      return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
    }),
  );
  return states.every((state) => state === 'T');
}

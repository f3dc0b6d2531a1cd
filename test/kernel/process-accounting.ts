import { open, readdir, readFile, writeFile } from 'node:fs/promises';
import koffi from 'koffi';

/** One record of process accounting: linux/acct.h, struct acct_v3. The kernel writes it when the process ends, before its parent hears of it. */
const recordBytes = 64;
const version = 3;

interface EndedProcess {
  readonly pid: number;
  readonly parent: number;
  /** At most 15 characters. */
  readonly name: string;
}

/**
 * Every process that ends on this machine is written down by the kernel itself (acct(2)): none can be missed, whoever starts it and
 * however short it lives. For one test at a time.
 */
export class ProcessAccounting {
  readonly #file: string;

  private constructor(file: string) {
    this.#file = file;
  }

  /** @param file on a file system with room: the kernel pauses when it is nearly full */
  static async start(file: string): Promise<ProcessAccounting> {
    await writeFile(file, '');
    set(file);
    return new ProcessAccounting(file);
  }

  stop(): void {
    set(null);
  }

  /**
   * The names of the processes that have ended while `work` was done and were started by `root` or by one of those, and of the ones that
   * run yet. One whose parents have gone before it counts too: nothing else orphans processes here.
   */
  async during(root: number, work: () => Promise<unknown>): Promise<string[]> {
    const runningBefore = await childrenOf(root);
    const from = (await readFile(this.#file)).length;
    await work();
    const records = (await readFile(this.#file)).subarray(from);
    const ended: EndedProcess[] = [];
    for (let at = 0; at + recordBytes <= records.length; at += recordBytes)
      ended.push(parse(records.subarray(at, at + recordBytes)));
    const parents = new Map(ended.map(({ pid, parent }) => [pid, parent]));
    const descends = (pid: number): boolean => {
      const parent = parents.get(pid);
      return parent === root || parent === 1 || (parent !== undefined && descends(parent));
    };
    const running = (await childrenOf(root)).filter((pid) => !runningBefore.includes(pid));
    const names = await Promise.all(running.map(async (pid) => readFile(`/proc/${pid}/comm`, 'utf8')));
    return [...ended.filter(({ pid }) => descends(pid)).map(({ name }) => name), ...names.map((name) => name.trim())];
  }
}

function set(file: string | null): void {
  const acct = koffi.load('libc.so.6').func('int acct(const char *file)') as (file: string | null) => number;
  if (acct(file) !== 0) throw new Error(`acct(2) fails with errno ${koffi.errno()}`);
}

function parse(record: Buffer): EndedProcess {
  if ((record.readUInt8(1) & 0xf) !== version) throw new Error('the kernel writes another form of accounting records');
  const name = record.toString('latin1', 48, 64);
  return { pid: record.readUInt32LE(16), parent: record.readUInt32LE(20), name: name.slice(0, name.indexOf('\0')) };
}

/** Of all its threads: /proc/PID/task/TID/children (proc(5)). */
async function childrenOf(pid: number): Promise<number[]> {
  const threads = await readdir(`/proc/${pid}/task`);
  const lists = await Promise.all(
    threads.map(async (thread) => readFile(`/proc/${pid}/task/${thread}/children`, 'utf8').catch(() => '')),
  );
  return lists.flatMap((list) => list.split(' ').filter((word) => word !== '')).map(Number);
}

/** To the screen of whoever has started the machine: a test's own output is TAP, and is kept for failures. */
export async function show(lines: readonly string[]): Promise<void> {
  const screen = await open('/dev/console', 'w');
  try {
    for (const line of lines) await screen.write(`    ${line}\n`);
  } finally {
    await screen.close();
  }
}

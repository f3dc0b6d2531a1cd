import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Test } from 'tap';
import { KrbdMapper, type KrbdMapperDependencies } from '../../../src/backend/rbd/krbd-mapper.js';
import type { KernelAnswer, KernelWrite } from '../../../src/platform/kernel.js';
import { fakeExec } from '../fake-exec.js';

export interface Written {
  /** add_single_major or remove_single_major */
  readonly file: string;
  readonly text: string;
  readonly keyName: string | undefined;
  readonly payload: string | undefined;
}

type Answer = KernelAnswer | undefined | Promise<KernelAnswer | undefined>;

const major = 250;

/**
 * A machine whose kernel has an rbd bus: a directory that what is written to it changes as the kernel would.
 * @param answer what the kernel says instead of doing it; undefined: it does it
 */
export function rbdBus(
  t: Test,
  answer: (write: Written) => Answer = () => undefined,
  more: Partial<KrbdMapperDependencies> = {},
) {
  const sysBusRbd = join(
    t.testdir({ rbd: { devices: {}, add_single_major: '', supported_features: '0x3f\n' } }),
    'rbd',
  );
  const writes: Written[] = [];
  let next = 0;
  const directory = (index: string) => join(sysBusRbd, 'devices', index);

  const add = (text: string): void => {
    const [, options = '', pool = '', name = ''] = text.split(' ');
    const index = String(next++);
    mkdirSync(directory(index));
    const poolNamespace = /_pool_ns=([^,]*)/.exec(options)?.[1] ?? '';
    const files = {
      name,
      pool,
      pool_ns: poolNamespace,
      current_snap: '-',
      config_info: text,
      major,
      minor: 16 * Number(index),
    };
    for (const [file, content] of Object.entries(files)) writeFileSync(join(directory(index), file), `${content}\n`);
  };

  const write = async ({ file, text, key }: KernelWrite): Promise<KernelAnswer> => {
    const payload = key === undefined ? undefined : Buffer.from(key.payload).toString('base64');
    const written = { file: basename(file), text, keyName: key?.name, payload };
    writes.push(written);
    const instead = await answer(written);
    if (instead !== undefined) return instead;
    if (written.file === 'add_single_major') add(text);
    else rmSync(directory(text.split(' ')[0] ?? ''), { recursive: true, force: true });
    return { wrote: true };
  };
  const deviceNumber = async (path: string) => {
    const index = path.replace('/dev/rbd', '');
    return Promise.resolve(existsSync(directory(index)) ? { major, minor: 16 * Number(index) } : undefined);
  };
  const programs = fakeExec();
  const mapper = new KrbdMapper({
    exec: programs.exec,
    write,
    sysBusRbd,
    udevControl: join(sysBusRbd, 'no-udev'),
    deviceNumber,
    ...more,
  });
  const begun = async (): Promise<void> => {
    while (writes.length === 0) await setImmediate();
  };
  const linesTo = (file: string) => writes.filter((one) => one.file === file).map(({ text }) => text);
  return {
    mapper,
    writes,
    begun,
    linesTo,
    programs,
    sysBusRbd,
    isMapped: (index: string) => existsSync(directory(index)),
  };
}

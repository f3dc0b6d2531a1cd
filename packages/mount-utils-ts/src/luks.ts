import { access, readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DEFAULT_TIMEOUT_MS, execOptionsOf, succeeded, type Exec, type ExecResult, type MountContext } from './exec.js';
import { MountError, programError } from './mount-error.js';

/** cryptsetup(8), RETURN CODES: no permission (bad passphrase); device is busy. */
const BAD_PASSPHRASE = 2;
const BUSY = 5;

/** The unit of `--offset`. */
const SECTOR_BYTES = 512n;

/** Stopped halfway it would leave a header without a key, so it gets time; deriving the key takes a second at most. */
const FORMAT_TIMEOUT_MS = 5 * 60_000;

/**
 * RFC 9106, section 4, second recommended option (Argon2id, 64 MiB, 4 lanes), with cryptsetup's least number of passes. Fixed, because a
 * benchmark would ask for a gigabyte from every node that opens the volume, and for as long as the busiest moment took.
 */
const KEY_DERIVATION = ['--pbkdf', 'argon2id', '--pbkdf-memory', '65536', '--pbkdf-parallel', '4'];
const KEY_DERIVATION_PASSES = ['--pbkdf-force-iterations', '4'];

export interface LuksDependencies {
  exec: Exec;
  /** Where the kernel shows block devices and modules: for tests. */
  sysBlock?: string | undefined;
  sysModule?: string | undefined;
}

export interface LuksHeader {
  /** Where the data begins, in bytes. */
  dataOffsetBytes: bigint;
  /** How many passphrases open it; 0 when luksFormat was cut off. */
  keyslots: number;
}

/** A LUKS device that is open: a device-mapper device over another one. */
export interface OpenedLuks {
  /** The kernel's own name for it, e.g. `/dev/dm-3`. */
  device: string;
  /** Names of the devices that it lies on, e.g. `rbd0`. */
  over: readonly string[];
  readOnly: boolean;
}

/** LUKS2 by cryptsetup(8) and dm-crypt. Passphrases go to standard input as they are, line ends included. */
export class Luks {
  readonly #exec: Exec;
  readonly #sysBlock: string;
  readonly #sysModule: string;

  constructor(deps: LuksDependencies) {
    this.#exec = deps.exec;
    this.#sysBlock = deps.sysBlock ?? '/sys/block';
    this.#sysModule = deps.sysModule ?? '/sys/module';
  }

  async isInstalled(): Promise<boolean> {
    return (await this.#exec('cryptsetup', ['--version'], { timeoutMs: 10_000 })).failure !== 'not-found';
  }

  /** Whether this kernel has dm-crypt: formatting and testing a passphrase do without, opening does not. */
  async canOpen(): Promise<boolean> {
    const isLoaded = await access(join(this.#sysModule, 'dm_crypt')).then(
      () => true,
      () => false,
    );
    return isLoaded || succeeded(await this.#exec('modprobe', ['dm_crypt'], { timeoutMs: 20_000 }));
  }

  /**
   * Makes a LUKS2 header, whatever is on the device. aes-xts-plain64 with 512 bits is what librbd reads too; sectors of
   * 512 bytes, or a file system that was made elsewhere could have smaller blocks than the opened device.
   * Not abortable. Throws MountError of kind FormatFailed.
   * @param dataOffsetBytes where the data begins: a multiple of 4096, 16 MiB or more
   */
  async format(device: string, passphrase: string, dataOffsetBytes: bigint): Promise<void> {
    const result = await this.#exec(
      'cryptsetup',
      [
        ...['luksFormat', '--batch-mode', '--type', 'luks2', '--key-file', '-'],
        ...['--cipher', 'aes-xts-plain64', '--key-size', '512', '--sector-size', '512'],
        ...['--offset', (dataOffsetBytes / SECTOR_BYTES).toString(), ...KEY_DERIVATION, ...KEY_DERIVATION_PASSES],
        device,
      ],
      { timeoutMs: FORMAT_TIMEOUT_MS, stdin: passphrase },
    );
    if (!succeeded(result))
      throw failed('FormatFailed', `could not make a LUKS header on ${device}`, result, passphrase);
  }

  /** What the LUKS2 header says. Throws MountError of kind GetDiskFormatFailed, also for LUKS1. */
  async header(device: string, ctx: MountContext = {}): Promise<LuksHeader> {
    const args = ['luksDump', '--dump-json-metadata', device];
    const result = await this.#exec('cryptsetup', args, execOptionsOf(ctx));
    if (!succeeded(result)) throw failed('GetDiskFormatFailed', `could not read a LUKS2 header on ${device}`, result);
    const metadata = JSON.parse(result.stdout) as LuksMetadata;
    const offset = Object.values(metadata.segments ?? {})[0]?.offset;
    if (offset === undefined)
      throw new MountError('GetDiskFormatFailed', `the LUKS2 header on ${device} has no segment with data`);
    return { dataOffsetBytes: BigInt(offset), keyslots: Object.keys(metadata.keyslots ?? {}).length };
  }

  /** Whether the passphrase opens the device, without opening it. Throws MountError when that can't be told. */
  async fits(device: string, passphrase: string, ctx: MountContext = {}): Promise<boolean> {
    const args = ['open', '--test-passphrase', '--type', 'luks2', '--key-file', '-', device];
    const result = await this.#exec('cryptsetup', args, { ...execOptionsOf(ctx), stdin: passphrase });
    return fitted(`could not try the passphrase on ${device}`, result, passphrase);
  }

  /**
   * Opens the device as a device-mapper device of this name; false when the passphrase is wrong. The key stays in the kernel's table and
   * not in a keyring, so that resize() takes no passphrase. Discards are let through. Throws MountError.
   */
  async open(
    device: string,
    name: string,
    passphrase: string,
    options: { readOnly: boolean },
    ctx: MountContext = {},
  ): Promise<boolean> {
    const args = [
      ...['open', '--type', 'luks2', '--key-file', '-', '--disable-keyring', '--allow-discards'],
      ...(options.readOnly ? ['--readonly'] : []),
      device,
      name,
    ];
    const result = await this.#exec('cryptsetup', args, { ...execOptionsOf(ctx), stdin: passphrase });
    return fitted(`could not open the LUKS device ${device}`, result, passphrase);
  }

  /** The open device of this name, by sysfs alone; undefined when there is none. */
  async find(name: string): Promise<OpenedLuks | undefined> {
    for (const kernelName of await this.#mapped()) {
      if ((await this.nameOf(kernelName)) !== name) continue;
      const over = await readdir(join(this.#sysBlock, kernelName, 'slaves')).catch(() => []);
      const readOnly = (await this.#attribute(kernelName, 'ro')) === '1';
      return { device: `/dev/${kernelName}`, over, readOnly };
    }
    return undefined;
  }

  /** The name under which a `/dev/dm-N` was opened; undefined when it is no device-mapper device. */
  async nameOf(device: string): Promise<string | undefined> {
    const kernelName = basename(device);
    return /^dm-[0-9]+$/.test(kernelName) ? this.#attribute(kernelName, join('dm', 'name')) : undefined;
  }

  /** Idempotent. Not abortable: closing what has begun must end. Throws MountError. */
  async close(name: string): Promise<'closed' | 'in-use'> {
    if ((await this.find(name)) === undefined) return 'closed';
    const result = await this.#exec('cryptsetup', ['close', name], { timeoutMs: DEFAULT_TIMEOUT_MS });
    if (succeeded(result) || (await this.find(name)) === undefined) return 'closed';
    if (result.failure === undefined && result.exitCode === BUSY) return 'in-use';
    throw failed('Unknown', `could not close the LUKS device ${name}`, result);
  }

  /** Makes the open device as large as the one that it lies on. Throws MountError. */
  async resize(name: string, ctx: MountContext = {}): Promise<void> {
    const result = await this.#exec('cryptsetup', ['resize', name], execOptionsOf(ctx));
    if (!succeeded(result)) throw failed('Unknown', `could not grow the LUKS device ${name}`, result);
  }

  async #mapped(): Promise<string[]> {
    return (await readdir(this.#sysBlock).catch(() => [])).filter((name) => /^dm-[0-9]+$/.test(name));
  }

  /** A device that is being closed loses its attributes one by one. */
  async #attribute(kernelName: string, path: string): Promise<string | undefined> {
    const text = await readFile(join(this.#sysBlock, kernelName, path), 'utf8').catch(() => undefined);
    return text?.trim();
  }
}

/** LUKS2 On-Disk Format Specification, section 3.1: numbers beyond 2^53 are text. */
interface LuksMetadata {
  keyslots?: Record<string, unknown>;
  segments?: Record<string, { offset?: string }>;
}

function fitted(what: string, result: ExecResult, passphrase: string): boolean {
  if (succeeded(result)) return true;
  if (result.failure === undefined && result.exitCode === BAD_PASSPHRASE) return false;
  throw failed('Unknown', what, result, passphrase);
}

function failed(kind: MountError['kind'], what: string, result: ExecResult, passphrase?: string): MountError {
  return programError({
    kind,
    what,
    program: 'cryptsetup',
    result,
    ...(result.failure === 'not-found' ? { advice: 'Install the package cryptsetup-bin.' } : {}),
    ...(passphrase === undefined ? {} : { secrets: [passphrase] }),
  });
}

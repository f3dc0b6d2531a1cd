import koffi from 'koffi';
import { DriverError } from '../../domain/errors.js';

declare const pointer: unique symbol;
/** An address inside a library, as koffi hands it out. */
export interface Pointer {
  readonly [pointer]: never;
}

/** A one-element array that a library writes a pointer into (koffi's `_Out_`). */
export type PointerOut = [Pointer | null];

export type NativeArgument =
  Pointer | PointerOut | string | number | bigint | boolean | Buffer | readonly string[] | null;

export interface NativeFunction {
  /** Runs in libuv's thread pool: for everything that may talk to the network. */
  (...args: NativeArgument[]): Promise<number>;
  /** Runs on this thread: only for calls that touch memory alone. */
  sync: (...args: NativeArgument[]) => number;
}

export interface NativeLibrary {
  readonly call: (prototype: string) => NativeFunction;
  /** For functions that return an address. */
  readonly callForPointer: (prototype: string) => (...args: NativeArgument[]) => Pointer;
}

/** @throws DriverError FAILED_PRECONDITION naming the Debian package when the library isn't installed. */
export function loadLibrary(file: string, debianPackage: string): NativeLibrary {
  let library: ReturnType<typeof koffi.load>;
  try {
    library = koffi.load(file);
  } catch (error) {
    throw new DriverError(
      'FAILED_PRECONDITION',
      `${file} can't be loaded: install it (apt-get install ${debianPackage})`,
      {
        cause: error,
      },
    );
  }
  return {
    call: (prototype) => {
      const native = library.func(prototype);
      const invoke = async (...args: NativeArgument[]): Promise<number> =>
        new Promise((resolve, reject) => {
          native.async(...args, (error: Error | null, returned: unknown) => {
            args.length = 0; // until here, the library reads and writes the buffers: this holds them
            if (error === null) resolve(Number(returned));
            else reject(error);
          });
        });
      return Object.assign(invoke, { sync: (...args: NativeArgument[]) => Number(native(...args)) });
    },
    callForPointer: (prototype) => {
      const native = library.func(prototype);
      return (...args) => native(...args) as Pointer;
    },
  };
}

export interface NativeCallback {
  readonly address: bigint;
  /** After the last call. */
  release(): void;
}

const callbackTypes = new Map<string, ReturnType<typeof koffi.proto>>();

/**
 * Lets a library call back. The call comes on one of its threads, which waits while the event loop of this one runs the function:
 * only for calls made by way of the thread pool.
 */
export function registerCallback(
  prototype: string,
  callback: (...args: (number | bigint)[]) => number,
): NativeCallback {
  const type = callbackTypes.get(prototype) ?? koffi.proto(prototype);
  callbackTypes.set(prototype, type);
  const address = koffi.register(callback, koffi.pointer(type));
  return {
    address,
    release: () => {
      koffi.unregister(address);
    },
  };
}

let copyMemory: ((to: Buffer, from: Pointer, length: number) => unknown) | undefined;

/** Copies length bytes from an address. (koffi.decode would register a new array type, for good, at every call.) */
export function readBytes(address: Pointer, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  copyMemory ??= koffi.load(null).func('void *memcpy(void *to, void *from, size_t length)');
  if (length > 0) copyMemory(bytes, address, length);
  return bytes;
}

/** The zero-terminated string at an address. */
export function readCString(address: Pointer): string {
  return koffi.decode(address, 'char', -1) as string;
}

/** What a library wrote into a PointerOut. */
export function written(out: PointerOut): Pointer {
  const value = out[0];
  if (value === null) throw new DriverError('INTERNAL', 'a Ceph library reported success and returned no handle');
  return value;
}

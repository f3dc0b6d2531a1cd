import koffi from 'koffi';

/**
 * Ends the process without waiting for its threads: _exit(2). For a native call that still hangs at shutdown; exit(3) would join
 * libuv's threads and run the libraries' destructors under the feet of librados' own.
 */
export function leaveProcess(code: number): never {
  koffi.load(null).func('void _exit(int code)')(code);
  throw new Error('_exit(2) has returned');
}

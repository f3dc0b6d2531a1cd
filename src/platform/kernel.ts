/* What the kernel is told and asked besides files and programs. The implementations make native calls: src/ceph/native. */

/** A cephx key for the time of one write: libceph's option `key=NAME` looks it up among the keys of the thread that writes. */
export interface KernelKey {
  readonly name: string;
  /** The key's bytes, not their base64. They are wiped. */
  readonly payload: Uint8Array;
}

export interface KernelWrite {
  /** e.g. /sys/bus/rbd/add_single_major */
  readonly file: string;
  readonly text: string;
  readonly key?: KernelKey;
}

/** `key`: this kernel or container takes no keys; `open`: the file can't be opened for writing; `write`: what the kernel answers. */
export type KernelAnswer =
  { readonly wrote: true } | { readonly wrote: false; readonly step: 'key' | 'open' | 'write'; readonly errno: number };

/** Settles when the kernel answers, which may take for ever: nothing aborts it. Neither the event loop nor libuv's pool waits. */
export type KernelWriter = (write: KernelWrite) => Promise<KernelAnswer>;

/** A position in the kernel's log. */
export interface KernelLogMark {
  /** The lines since then, oldest first, without their prefix; none where the log can't be read. */
  lines(): Promise<string[]>;
  close(): Promise<void>;
}

export interface KernelLog {
  mark(): Promise<KernelLogMark>;
}

/** For whoever may not read the log. */
export const noKernelLog: KernelLog = {
  mark: async () => Promise.resolve({ lines: async () => Promise.resolve([]), close: async () => Promise.resolve() }),
};

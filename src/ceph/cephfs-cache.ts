import type { Pointer } from './native/library.js';
import { librados } from './native/librados.js';

/** Inodes that the library keeps in memory during work: the paths above the volumes, mostly. */
const workingSize = '1024';
const checkMs = 250;
const quietMs = 500;

/**
 * With each inode the library keeps capabilities, and the MDS lets everybody else wait for those of a process that was killed, for up to
 * a minute. So the inodes go when no work has come for a moment; the library does it within two seconds (client_tick_interval). Never
 * during work: the paths would be looked up again and again.
 */
export class CephFsCache {
  readonly #timer: NodeJS.Timeout;
  #isQuiet = false;

  /** @param cluster its settings are those of the mounts made from it. @param idleMs since the last work on any of them */
  constructor(cluster: Pointer, idleMs: () => number) {
    this.#timer = setInterval(() => {
      const isQuiet = idleMs() >= quietMs;
      if (isQuiet === this.#isQuiet) return;
      this.#isQuiet = isQuiet;
      librados().setConf.sync(cluster, 'client_cache_size', isQuiet ? '0' : workingSize);
    }, checkMs);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

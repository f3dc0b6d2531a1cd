import type { Secret } from './secret.js';

/** A cephx user and its key, as a CSI secret or the driver's configuration gives them. */
export interface Credentials {
  /** Without the `client.` prefix. */
  readonly user: string;
  readonly key: Secret;
}

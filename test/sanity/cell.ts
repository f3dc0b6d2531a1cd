import type { BackendKind } from '../../src/domain/backend-kind.js';

/** One run of the whole of csi-sanity: no spec is filtered out. */
export interface Cell {
  readonly backend: BackendKind;
  readonly accessType: 'mount' | 'block';
  /** What maps or mounts; the driver chooses when left out. */
  readonly mounter?: string;
  /** Controller and node in processes of their own, as a cluster runs them. */
  readonly split: boolean;
}

/** What it is called in the table. @param title what stands before that */
export function nameOf(cell: Cell, title = 'csi-sanity'): string {
  const by = cell.mounter === undefined ? '' : ` by ${cell.mounter}`;
  return `${title} ${cell.backend} ${cell.accessType}${by}, roles ${cell.split ? 'split' : 'together'}`;
}

import type { StringMap } from '../backend.js';

/** Handed on to NodeStageVolume in the volume context. */
export const nodeParameters = ['mounter', 'kernelMountOptions', 'fuseMountOptions'] as const;

export function checkNodeParameters(_parameters: StringMap): void {
  // stub
}

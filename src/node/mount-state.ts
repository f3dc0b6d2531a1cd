import { type PathState, probePath } from 'mount-utils-ts';

export const probeTimeoutMs = 5_000;

/** @param served whether anything serves the volume: a file system whose device is gone goes on answering from memory. */
export async function mountState(path: string, served: boolean): Promise<PathState> {
  return served ? probePath(path, probeTimeoutMs) : 'corrupted';
}

export function deadMountSentence(where: string, state: PathState): string {
  return `the mount at ${where} is ${state}: the cluster or the process that serves it is gone; it is made again when the volume is staged and published anew`;
}

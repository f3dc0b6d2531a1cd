import { join } from 'node:path';
import { call, type Driver } from '../test/harness/driver.js';
import { publishRequest, stageRequest, unpublishRequest, unstageRequest } from '../test/harness/requests.js';
import { type Measured, measure } from './measure.js';
import type { Progress, Subject } from './subject.js';
import { Volumes } from './volumes.js';

export const nodeRounds = 8;

/** Each of the node's RPCs, one at a time. */
export interface NodeRun {
  readonly stage: Measured;
  readonly again: Measured;
  readonly publish: Measured;
  readonly unpublish: Measured;
  readonly unstage: Measured;
  /** Of volumes that were staged before. */
  readonly restage: Measured;
}

/** Stages, publishes and takes away new volumes. */
export async function runNode(
  driver: Driver,
  subject: Subject,
  directory: string,
  progress: Progress,
): Promise<NodeRun> {
  const { capability } = subject;
  const staging = (i: number) => join(directory, `stage-${i}`);
  const target = (i: number) => join(directory, `target-${i}`);
  const volumes = new Volumes(driver, subject);
  const ids: string[] = [];
  for (let i = 0; i < nodeRounds; i++) ids.push(await volumes.create(`node-${i}`));
  const id = (i: number) => ids[i] ?? '';
  const run = async (work: (i: number) => Promise<unknown>): Promise<Measured> => measure(nodeRounds, 1, work);
  const stage = async (i: number) =>
    call((done) => driver.node.NodeStageVolume(stageRequest(id(i), staging(i), { capability }), done));
  const unstage = async (i: number) =>
    call((done) => driver.node.NodeUnstageVolume(unstageRequest(id(i), staging(i)), done));

  progress(`${subject.name}: the node's RPCs`);
  const first = await run(stage);
  const again = await run(stage);
  const publish = await run(async (i) =>
    call((done) => driver.node.NodePublishVolume(publishRequest(id(i), staging(i), target(i), { capability }), done)),
  );
  const unpublish = await run(async (i) =>
    call((done) => driver.node.NodeUnpublishVolume(unpublishRequest(id(i), target(i)), done)),
  );
  const unstaged = await run(unstage);
  const restage = await run(stage);
  await run(unstage);
  for (let i = 0; i < nodeRounds; i++) await volumes.delete(`node-${i}`);
  return { stage: first, again, publish, unpublish, unstage: unstaged, restage };
}

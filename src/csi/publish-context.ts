import type { Attached, NodeAttachment } from '../backend/backend.js';

/*
 * CSI's publish_context: what ControllerPublishVolume tells the node's RPCs. Orchestrators that don't attach leave it out, and others may
 * hand on one that an earlier version has given out: what isn't in it is as if it had not been said.
 */

export function publishContext({ fencedClients }: Attached, readOnly: boolean): Map<string, string> {
  return new Map([
    ['attached', 'true'],
    ...(readOnly ? [['readOnly', 'true'] as const] : []),
    ...(fencedClients.length === 0 ? [] : [['fencedClients', fencedClients.join(',')] as const]),
  ]);
}

export function readPublishContext(context: ReadonlyMap<string, string>): NodeAttachment {
  return {
    required: context.get('attached') === 'true',
    readOnly: context.get('readOnly') === 'true',
    fencedClients: (context.get('fencedClients') ?? '').split(',').filter((address) => address !== ''),
  };
}

import type { CallContext } from '../platform/call-context.js';

/** Which nodes there are: ControllerPublishVolume owes NOT_FOUND for others. */
export interface NodeDirectory {
  /** @throws DriverError UNAVAILABLE, PERMISSION_DENIED when whoever knows gives no answer. */
  has(ctx: CallContext, node: string): Promise<boolean>;
}

export interface NodeSources {
  /** This process's own node, when it serves the Node service as well. */
  readonly own: string | undefined;
  /** The nodes that the configuration file lists, as it is now. */
  readonly listed: () => readonly string[] | undefined;
  /** The cluster's own knowledge, in Kubernetes. */
  readonly orchestrator: NodeDirectory | undefined;
}

/** The process itself, then the list, then the orchestrator; when there is none of them, every node is believed. */
export function nodeDirectory({ own, listed, orchestrator }: NodeSources): NodeDirectory {
  return {
    has: async (ctx, node) => {
      if (node === own) return true;
      const names = listed();
      if (names !== undefined) return names.includes(node);
      if (orchestrator !== undefined) return orchestrator.has(ctx, node);
      return own === undefined;
    },
  };
}

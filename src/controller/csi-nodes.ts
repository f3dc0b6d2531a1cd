import type { CallContext } from '../platform/call-context.js';
import type { KubernetesApi, Question } from '../platform/kubernetes-api.js';
import type { NodeDirectory } from './node-directory.js';

/** A node that was there is believed so long: pods start and stop all the time, nodes don't come and go. */
const keepMs = 60_000;
const pageSize = 500;
const mostPages = 40;

const question: Question = {
  what: 'which nodes there are',
  remedy: `allow this pod's service account to get and list csinodes (storage.k8s.io), or list the nodes under "nodes" in the driver's configuration`,
};

export interface CsiNodesDependencies {
  readonly driverName: string;
  readonly api: KubernetesApi;
}

/** The part of a CSINode that is looked at (Kubernetes API, storage.k8s.io/v1). */
interface CsiNode {
  readonly spec?: { readonly drivers?: readonly { readonly name: string; readonly nodeID: string }[] | null };
}

interface CsiNodeList {
  readonly items: readonly CsiNode[];
  readonly metadata: { readonly continue?: string };
}

/** Asks the API server which nodes have registered this driver: kubelet writes it into each node's CSINode. */
export function csiNodes(deps: CsiNodesDependencies): NodeDirectory {
  const seen = new Map<string, number>();
  return {
    has: async (ctx, node) => {
      if (Date.now() - (seen.get(node) ?? -Infinity) < keepMs) return true;
      const found = (await isNamed(ctx, deps, node)) || (await isListed(ctx, deps, node));
      if (found) seen.set(node, Date.now());
      else seen.delete(node);
      return found;
    },
  };
}

/** A node's id is mostly the name of its Node, which its CSINode has too. */
async function isNamed(ctx: CallContext, deps: CsiNodesDependencies, node: string): Promise<boolean> {
  if (!/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(node)) return false;
  const found = await deps.api.get<CsiNode>(ctx, `/apis/storage.k8s.io/v1/csinodes/${node}`, question);
  return found !== undefined && holds(deps, found, node);
}

async function isListed(ctx: CallContext, deps: CsiNodesDependencies, node: string): Promise<boolean> {
  let from = '';
  for (let page = 0; page < mostPages; page++) {
    const query = new URLSearchParams({ limit: String(pageSize), ...(from === '' ? {} : { continue: from }) });
    const list = await deps.api.get<CsiNodeList>(ctx, `/apis/storage.k8s.io/v1/csinodes?${query.toString()}`, question);
    if (list === undefined) return false;
    if (list.items.some((one) => holds(deps, one, node))) return true;
    from = list.metadata.continue ?? '';
    if (from === '') return false;
  }
  return false;
}

function holds({ driverName }: CsiNodesDependencies, { spec }: CsiNode, node: string): boolean {
  return (spec?.drivers ?? []).some((driver) => driver.name === driverName && driver.nodeID === node);
}

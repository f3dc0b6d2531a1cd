import { DriverError } from '../domain/errors.js';
import { type Segments, topologyValueObjection } from '../domain/topology.js';
import type { CallContext } from '../platform/call-context.js';
import type { KubernetesApi, Question } from '../platform/kubernetes-api.js';
import type { NodeTopology } from './node-service.js';

export interface NodeTopologySources {
  /** The name of its Node in Kubernetes. */
  readonly nodeId: string;
  /** What the command line says (--topology). */
  readonly own: Segments;
  /** Labels of the Node, and the topology key of each (--topology-labels). */
  readonly labels: readonly { readonly label: string; readonly key: string }[];
  /** undefined outside of Kubernetes. */
  readonly api: KubernetesApi | undefined;
}

/** The part of a Node that is looked at (Kubernetes API, v1). */
interface Node {
  readonly metadata?: { readonly labels?: Readonly<Record<string, string>> };
}

/**
 * Labels are read whenever kubelet asks, which it does when the driver registers: a label that changes later counts from then on.
 * @throws DriverError FAILED_PRECONDITION (a label that is missing), UNAVAILABLE, PERMISSION_DENIED: kubelet asks again.
 */
export function nodeTopology({ nodeId, own, labels, api }: NodeTopologySources): NodeTopology {
  return async (ctx) => {
    if (labels.length === 0) return Object.keys(own).length === 0 ? undefined : own;
    if (api === undefined) {
      throw new DriverError(
        'FAILED_PRECONDITION',
        '--topology-labels needs the Kubernetes API, and this process has no service account in a cluster: run it as a pod with one, or use --topology KEY=VALUE',
      );
    }
    const found = await labelsOf(ctx, api, nodeId);
    return { ...own, ...Object.fromEntries(labels.map(({ label, key }) => [key, valueOf(nodeId, found, label)])) };
  };
}

async function labelsOf(
  ctx: CallContext,
  api: KubernetesApi,
  nodeId: string,
): Promise<Readonly<Record<string, string>>> {
  const question: Question = {
    what: `what labels Node "${nodeId}" has`,
    remedy: "allow this pod's service account to get nodes, or use --topology KEY=VALUE instead of --topology-labels",
  };
  const node = await api.get<Node>(ctx, `/api/v1/nodes/${encodeURIComponent(nodeId)}`, question);
  if (node !== undefined) return node.metadata?.labels ?? {};
  throw new DriverError(
    'FAILED_PRECONDITION',
    `Kubernetes has no Node "${nodeId}", whose labels --topology-labels wants: make --node-id the name of this Node (spec.nodeName of the pod)`,
  );
}

function valueOf(nodeId: string, labels: Readonly<Record<string, string>>, label: string): string {
  const value = Object.hasOwn(labels, label) ? labels[label] : undefined;
  if (value === undefined) {
    throw new DriverError(
      'FAILED_PRECONDITION',
      `Node "${nodeId}" has no label ${label}, which --topology-labels wants: set it (kubectl label node ${nodeId} ${label}=VALUE), or leave it out of the option`,
    );
  }
  const objection = topologyValueObjection(value);
  if (objection === undefined) return value;
  throw new DriverError(
    'FAILED_PRECONDITION',
    `label ${label} of Node "${nodeId}" is "${value}", which ${objection}: change it`,
  );
}

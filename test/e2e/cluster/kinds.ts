/** Kinds of the Kubernetes API that the scenarios use, and where the API server keeps them. */
export const kinds = {
  Node: { base: '/api/v1', plural: 'nodes', isNamespaced: false },
  Pod: { base: '/api/v1', plural: 'pods', isNamespaced: true },
  Secret: { base: '/api/v1', plural: 'secrets', isNamespaced: true },
  ServiceAccount: { base: '/api/v1', plural: 'serviceaccounts', isNamespaced: true },
  Event: { base: '/api/v1', plural: 'events', isNamespaced: true },
  PersistentVolume: { base: '/api/v1', plural: 'persistentvolumes', isNamespaced: false },
  PersistentVolumeClaim: { base: '/api/v1', plural: 'persistentvolumeclaims', isNamespaced: true },
  StorageClass: { base: '/apis/storage.k8s.io/v1', plural: 'storageclasses', isNamespaced: false },
  CSIDriver: { base: '/apis/storage.k8s.io/v1', plural: 'csidrivers', isNamespaced: false },
  CSINode: { base: '/apis/storage.k8s.io/v1', plural: 'csinodes', isNamespaced: false },
  VolumeAttachment: { base: '/apis/storage.k8s.io/v1', plural: 'volumeattachments', isNamespaced: false },
  VolumeAttributesClass: { base: '/apis/storage.k8s.io/v1', plural: 'volumeattributesclasses', isNamespaced: false },
  VolumeSnapshot: { base: '/apis/snapshot.storage.k8s.io/v1', plural: 'volumesnapshots', isNamespaced: true },
  VolumeSnapshotClass: {
    base: '/apis/snapshot.storage.k8s.io/v1',
    plural: 'volumesnapshotclasses',
    isNamespaced: false,
  },
  VolumeSnapshotContent: {
    base: '/apis/snapshot.storage.k8s.io/v1',
    plural: 'volumesnapshotcontents',
    isNamespaced: false,
  },
  CustomResourceDefinition: {
    base: '/apis/apiextensions.k8s.io/v1',
    plural: 'customresourcedefinitions',
    isNamespaced: false,
  },
} as const;

export type Kind = keyof typeof kinds;

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: Kind;
  readonly metadata: {
    readonly name: string;
    readonly uid?: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly finalizers?: readonly string[];
    readonly deletionTimestamp?: string;
  };
  readonly [field: string]: unknown;
}

/** What stands at a path in an object, e.g. `at(pod, 'status', 'phase')`; undefined when a part of the way is missing. */
export function at(object: unknown, ...path: readonly (string | number)[]): unknown {
  let here = object;
  for (const step of path) {
    if (typeof here !== 'object' || here === null) return undefined;
    here = (here as Record<string | number, unknown>)[step];
  }
  return here;
}

/** The same for a string; '' when there is none. */
export function textAt(object: unknown, ...path: readonly (string | number)[]): string {
  const found = at(object, ...path);
  return typeof found === 'string' ? found : '';
}

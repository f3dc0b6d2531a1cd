/** The kinds of volumes; a StorageClass names one by the parameter `backend`. */
export const backendKinds = ['rbd', 'cephfs'] as const;
export type BackendKind = (typeof backendKinds)[number];

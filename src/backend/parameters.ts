import leven from 'leven';
import { DriverError } from '../domain/errors.js';
import type { StringMap } from './backend.js';

/** What is known of each parameter, in the words of docs/configuration.md (Markdown). `npm run docs` writes them there. */
export type ParameterReference = Readonly<
  Record<string, { /** What counts when it is left out. */ readonly fallback: string; readonly meaning: string }>
>;

/** Parameters that the external-provisioner adds (--extra-create-metadata) or leaves in: not for the backend to judge. */
const provisionerPrefix = 'csi.storage.k8s.io/';

/** StorageClass parameters of the in-tree plugins and old provisioners, and what to write instead of each. */
const formerNames: StringMap = {
  monitors: "list the monitors in the driver's configuration and name that cluster by clusterID",
  adminId: 'put adminID and adminKey into the Secret that csi.storage.k8s.io/provisioner-secret-name names',
  adminSecretName: 'use csi.storage.k8s.io/provisioner-secret-name',
  adminSecretNamespace: 'use csi.storage.k8s.io/provisioner-secret-namespace',
  userId: 'put userID and userKey into the Secret that csi.storage.k8s.io/node-stage-secret-name names',
  userSecretName: 'use csi.storage.k8s.io/node-stage-secret-name',
  userSecretNamespace: 'use csi.storage.k8s.io/node-stage-secret-namespace',
  fsType: 'use csi.storage.k8s.io/fstype',
  fstype: 'use csi.storage.k8s.io/fstype',
  imageFormat: 'leave it out: images have format 2, the only one that Ceph still creates',
  claimRoot: "use volumeNamePrefix, and the root in the driver's configuration",
  imageFeature: 'use imageFeatures',
  unmapOptions:
    "set unmapOptions on the cluster in the driver's configuration: NodeUnstageVolume carries no parameters (ADR 0007)",
};

/**
 * Refuses every parameter that isn't known, by name.
 * @param what the sentence's word for one
 * @throws DriverError INVALID_ARGUMENT with the nearest known name, or with what replaces a former one.
 */
export function refuseUnknownParameters(parameters: StringMap, known: readonly string[], what = 'parameter'): void {
  for (const name of Object.keys(parameters)) {
    if (known.includes(name) || name.startsWith(provisionerPrefix)) continue;
    const replacement = Object.hasOwn(formerNames, name) ? formerNames[name] : undefined;
    if (replacement !== undefined) {
      throw new DriverError('INVALID_ARGUMENT', `${what} "${name}" belongs to an older Ceph plugin: ${replacement}`);
    }
    const nearest = known.reduce((best, candidate) =>
      distance(name, candidate) < distance(name, best) ? candidate : best,
    );
    throw new DriverError(
      'INVALID_ARGUMENT',
      `${what} "${name}" is unknown: did you mean "${nearest}"? Known are ${known.join(', ')}`,
    );
  }
}

/** Ceph's own spelling, image_features, is as near as imagefeatures. */
function distance(name: string, candidate: string): number {
  return leven(plain(name), plain(candidate));
}

function plain(name: string): string {
  return name.replaceAll(/[-_]/g, '').toLowerCase();
}

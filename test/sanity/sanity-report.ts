import { z } from 'zod';

/** The part of ginkgo's JSON report that is read here. */
const reportSchema = z.array(
  z.object({
    SpecReports: z.array(
      z.object({
        ContainerHierarchyTexts: z.array(z.string()).nullable(),
        LeafNodeType: z.string(),
        LeafNodeText: z.string(),
        State: z.string(),
        Failure: z.object({ Message: z.string() }).optional(),
      }),
    ),
  }),
);

export interface SanityOutcome {
  readonly passed: number;
  /** One sentence each. */
  readonly failures: readonly string[];
  /** Reason -> how many specs. */
  readonly skips: ReadonlyMap<string, number>;
}

/**
 * csi-sanity's words for a skip, and the capability whose absence explains it. A skip for any other reason, or for a
 * capability that the driver does advertise, is a failure.
 */
const capabilityOfSkip: Readonly<Record<string, string>> = {
  'GetSnapshot not supported': 'GET_SNAPSHOT',
  'NodeExpandVolume not supported': 'node EXPAND_VOLUME',
  'NodeGetVolumeHealth not supported': 'node GET_VOLUME_HEALTH',
  'NodeGetStorageHealth not supported': 'node GET_STORAGE_HEALTH',
  'CreateSnapshot not supported': 'CREATE_DELETE_SNAPSHOT',
  'DeleteSnapshot not supported': 'CREATE_DELETE_SNAPSHOT',
  'Snapshot not supported': 'CREATE_DELETE_SNAPSHOT',
  'ListSnapshots not supported': 'LIST_SNAPSHOTS',
  'GroupControllerService not supported': 'GROUP_CONTROLLER_SERVICE',
  'ControllerListVolumeHealth not supported': 'LIST_VOLUME_HEALTH',
  'ControllerGetVolumeHealth not supported': 'GET_VOLUME_HEALTH',
  'ControllerModifyVolume not supported': 'MODIFY_VOLUME',
  'Modify volume not supported': 'MODIFY_VOLUME',
  'Modify Volume not supported': 'MODIFY_VOLUME',
  'ControllerExpandVolume not supported': 'EXPAND_VOLUME',
  'Volume Cloning not supported': 'CLONE_VOLUME',
  'ControllerPublishVolume not supported': 'PUBLISH_UNPUBLISH_VOLUME',
  'Controller Publish, UnpublishVolume not supported': 'PUBLISH_UNPUBLISH_VOLUME',
  'ControllerUnpublishVolume not supported': 'PUBLISH_UNPUBLISH_VOLUME',
  'testnodevolumeattachlimit not enabled': 'max_volumes_per_node',
};

/** @param advertised the driver's capabilities, by the names above. */
export function readReport(json: string, advertised: ReadonlySet<string | undefined>): SanityOutcome {
  const specs = reportSchema.parse(JSON.parse(json)).flatMap((suite) => suite.SpecReports);
  const failures: string[] = [];
  const skips = new Map<string, number>();
  let passed = 0;
  for (const spec of specs) {
    const title = [...(spec.ContainerHierarchyTexts ?? []), spec.LeafNodeText].join(' ').trim() || spec.LeafNodeType;
    const why = spec.Failure?.Message ?? '';
    // Nodes around the specs (BeforeSuite...) are only of interest when they fail.
    if (spec.State === 'passed') passed += spec.LeafNodeType === 'It' ? 1 : 0;
    else if (spec.State === 'pending') count(skips, `"${title}" is switched off in csi-sanity itself`);
    else if (spec.State !== 'skipped') failures.push(`${title}: ${spec.State}: ${why}`);
    else {
      const capability = capabilityOfSkip[why];
      if (capability === undefined) failures.push(`${title}: skipped for a reason that is not known: ${why}`);
      else if (advertised.has(capability)) failures.push(`${title}: skipped although ${capability} is advertised`);
      else count(skips, `${capability} is not advertised yet`);
    }
  }
  if (passed === 0) failures.push('csi-sanity passed no spec at all');
  return { passed, failures, skips };
}

function count(skips: Map<string, number>, reason: string): void {
  skips.set(reason, (skips.get(reason) ?? 0) + 1);
}

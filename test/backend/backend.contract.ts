import type { Test } from 'tap';
import type { Site } from '../integration/site.js';
import { Bench, type BackendUnderTest, type Checks } from './contract-bench.js';
import { attachmentChecks } from './attachment.contract.js';
import { cloneChecks } from './clone.contract.js';
import { controllerChecks } from './controller.contract.js';
import { healthChecks } from './health.contract.js';
import { growthChecks } from './growth.contract.js';
import { inFlightChecks } from './in-flight.contract.js';
import { modifyChecks } from './modify.contract.js';
import { nodeChecks } from './node.contract.js';
import { restartChecks } from './restart.contract.js';
import { snapshotChecks } from './snapshot.contract.js';

export type { BackendUnderTest } from './contract-bench.js';

const groups: Readonly<Record<string, Checks>> = {
  controller: controllerChecks,
  node: nodeChecks,
  attachment: attachmentChecks,
  growth: growthChecks,
  health: healthChecks,
  'mutable parameters': modifyChecks,
  snapshots: snapshotChecks,
  'volumes made of others': cloneChecks,
  'in flight': inFlightChecks,
  restart: restartChecks,
};

/**
 * What CSI and its callers hold every backend to, by gRPC against a real cluster. A backend's test file calls it once for
 * each way of using that backend. The site's driver must list no volumes but those that are made here.
 */
export async function backendContract(t: Test, site: Site, backend: BackendUnderTest): Promise<void> {
  await t.test(backend.name, async (t) => {
    const titles = Object.values(groups).flatMap((checks) => Object.keys(checks));
    const unknown = Object.keys(backend.skips).filter((title) => !titles.includes(title));
    t.same(unknown, [], 'every skip names a test of the contract');
    for (const [group, checks] of Object.entries(groups)) {
      await t.test(group, async (t) => {
        for (const [title, check] of Object.entries(checks)) {
          const reason = backend.skips[title];
          const options = reason === undefined ? {} : { skip: reason };
          await t.test(title, options, async (t) => check(t, new Bench(t, site, backend)));
        }
      });
    }
  });
}

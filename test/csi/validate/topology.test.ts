import t from 'tap';
import { csi } from '../../../src/csi/gen/csi.js';
import { readCreateVolume, readGetCapacity } from '../../../src/csi/validate/controller.js';
import { readCreateSnapshot } from '../../../src/csi/validate/snapshots.js';
import { readRequirement } from '../../../src/csi/validate/topology.js';
import { createRequest, requirementOf, topologyOf } from '../../harness/requests.js';

const wanted = { requisite: [{ zone: 'a', region: 'r' }, { zone: 'b' }], preferred: [{ zone: 'b' }] };

t.test('what a request demands and prefers arrives in its order', (t) => {
  t.strictSame(readCreateVolume(createRequest('pvc', { topology: wanted })).requirement, wanted);
  const snapshot = new csi.v1.CreateSnapshotRequest({
    name: 's',
    source_volume_id: 'rbd:default:rbd::a',
    accessibility_requirements: requirementOf(wanted),
  });
  t.strictSame(readCreateSnapshot(snapshot).requirement, wanted);
  const capacity = new csi.v1.GetCapacityRequest({ accessible_topology: topologyOf({ zone: 'a' }) });
  t.strictSame(readGetCapacity(capacity).from, { zone: 'a' });
  t.end();
});

t.test('no requirement, and one that names nothing, demand nothing', (t) => {
  t.equal(readRequirement(undefined), undefined);
  t.equal(readRequirement(requirementOf({})), undefined);
  t.end();
});

t.test('a topology without segments, or with more than CSI allows, is refused by its place in the request', (t) => {
  const refused = (message: RegExp) => ({ code: 'INVALID_ARGUMENT', message });
  t.throws(
    () => readRequirement(requirementOf({ requisite: [{ zone: 'a' }], preferred: [{}] })),
    refused(/^accessibility_requirements\.preferred\[0\] is empty/),
  );
  t.throws(
    () => readRequirement(requirementOf({ requisite: [{ zone: 'a'.repeat(4096) }] })),
    refused(/^accessibility_requirements\.requisite\[0\]\.segments holds 4100 bytes/),
  );
  const capacity = new csi.v1.GetCapacityRequest({ accessible_topology: topologyOf({}) });
  t.throws(() => readGetCapacity(capacity), refused(/^accessible_topology is empty/));
  t.end();
});

import t from 'tap';
import { csi } from '../../../src/csi/gen/csi.js';
import { publishContext, readPublishContext } from '../../../src/csi/publish-context.js';
import { readGetVolume, readPublishVolume, readUnpublishVolume } from '../../../src/csi/validate/attachment.js';
import { readPublish, readStage } from '../../../src/csi/validate/node.js';
import { attachRequest, detachRequest, publishRequest, stageRequest } from '../../harness/requests.js';

const refused = (message: RegExp) => ({ code: 'INVALID_ARGUMENT', message });
const idText = 'rbd:default:rbd::a';
const id = { backend: 'rbd', clusterId: 'default', pool: 'rbd', namespace: '', image: 'a' };

t.test('ControllerPublishVolume refuses what is missing or too long, each by its name', (t) => {
  t.throws(() => readPublishVolume(attachRequest('', 'n')), refused(/^volume_id is empty/));
  t.throws(() => readPublishVolume(attachRequest(idText, '')), refused(/^node_id is empty/));
  t.throws(() => readPublishVolume(attachRequest(idText, 'é'.repeat(129))), refused(/^node_id has 258 bytes/));
  const bare = new csi.v1.ControllerPublishVolumeRequest({ volume_id: idText, node_id: 'n' });
  t.throws(() => readPublishVolume(bare), refused(/^volume_capability is missing/));
  t.match(readPublishVolume(attachRequest(idText, 'n', { readOnly: true })), { id, node: 'n', readOnly: true });
  t.equal(readPublishVolume(attachRequest('fake', 'n')).id, undefined);
  t.end();
});

t.test('ControllerUnpublishVolume takes garbage for an id, and no node', (t) => {
  t.throws(() => readUnpublishVolume(detachRequest('', 'n')), refused(/^volume_id is empty/));
  t.match(readUnpublishVolume(detachRequest('fake', '')), { id: undefined, node: '' });
  t.match(readUnpublishVolume(detachRequest(idText, 'n')), { id, node: 'n' });
  t.throws(() => readGetVolume(new csi.v1.ControllerGetVolumeRequest()), refused(/^volume_id is empty/));
  t.end();
});

t.test('a publish_context comes back as it was given out', (t) => {
  for (const fencedClients of [[], ['10.0.0.1:0/1'], ['10.0.0.1:0/1', '[::1]:0/2']]) {
    for (const readOnly of [true, false]) {
      const given = publishContext({ fencedClients }, readOnly);
      t.strictSame(readPublishContext(given), { required: true, readOnly, fencedClients });
    }
  }
  t.strictSame([...publishContext({ fencedClients: [] }, false)], [['attached', 'true']]);
  t.strictSame(readPublishContext(new Map([['of another', 'driver']])), {
    required: false,
    readOnly: false,
    fencedClients: [],
  });
  t.end();
});

t.test('the node reads it, and does without', (t) => {
  t.strictSame(readStage(stageRequest(idText, '/s')).attached, { required: false, readOnly: false, fencedClients: [] });
  const given = { publishContext: { attached: 'true', readOnly: 'true', fencedClients: '10.0.0.1:0/1' } };
  const attached = { required: true, readOnly: true, fencedClients: ['10.0.0.1:0/1'] };
  t.strictSame(readStage(stageRequest(idText, '/s', given)).attached, attached);
  t.match(readPublish(publishRequest(idText, '/s', '/t', given)), { readOnly: true, attached });
  t.end();
});

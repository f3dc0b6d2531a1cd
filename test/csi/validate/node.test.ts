import t from 'tap';
import { csi } from '../../../src/csi/gen/csi.js';
import { readPublish, readStage, readStats, readUnpublish, readUnstage } from '../../../src/csi/validate/node.js';
import { publishRequest, stageRequest, unpublishRequest, unstageRequest } from '../../harness/requests.js';

const refused = (message: RegExp) => ({ code: 'INVALID_ARGUMENT', message });
const idText = 'rbd:default:rbd::a';
const id = { backend: 'rbd', clusterId: 'default', pool: 'rbd', namespace: '', image: 'a' };

t.test('NodeStageVolume refuses what is missing or bad, each by its name', (t) => {
  t.throws(() => readStage(stageRequest('', '/s')), refused(/^volume_id is empty/));
  t.throws(() => readStage(stageRequest(idText, '')), refused(/^staging_target_path is empty/));
  t.throws(() => readStage(stageRequest(idText, 's')), refused(/^staging_target_path "s" is relative/));
  const bare = new csi.v1.NodeStageVolumeRequest({ volume_id: idText, staging_target_path: '/s' });
  t.throws(() => readStage(bare), refused(/^volume_capability is missing/));
  t.throws(() => readStage(stageRequest(idText, '/s', { secrets: { userID: 'x' } })), refused(/userKey/));
  const context = { mapOptions: 'x'.repeat(4096) };
  t.throws(() => readStage(stageRequest(idText, '/s', { context })), refused(/^volume_context holds/));
  t.match(readStage(stageRequest(idText, '/s/', { context: { mounter: 'nbd' } })), {
    id,
    stagingPath: '/s',
    context: { mounter: 'nbd' },
  });
  t.end();
});

t.test('NodeStageVolume and NodePublishVolume answer an id that is none with what one looks like', (t) => {
  const expected = { code: 'NOT_FOUND', message: /"fake-vol-id".*rbd:<clusterID>:<pool>:<namespace>:<image>/ };
  t.throws(() => readStage(stageRequest('fake-vol-id', '/s')), expected);
  t.throws(() => readPublish(publishRequest('fake-vol-id', '/s', '/t')), expected);
  t.end();
});

t.test('NodePublishVolume without a staging path is FAILED_PRECONDITION, everything else missing is not', (t) => {
  t.throws(() => readPublish(publishRequest(idText, '', '/t')), {
    code: 'FAILED_PRECONDITION',
    message: /staging_target_path is missing.*NodeStageVolume/,
  });
  t.throws(() => readPublish(publishRequest(idText, '/s', '')), refused(/^target_path is empty/));
  t.throws(() => readPublish(publishRequest('', '/s', '/t')), refused(/^volume_id/));
  t.throws(() => readPublish(publishRequest(idText, '/s/../..', '/t')), refused(/^staging_target_path .* climbs/));
  const bare = new csi.v1.NodePublishVolumeRequest({ volume_id: idText, staging_target_path: '/s', target_path: '/t' });
  t.throws(() => readPublish(bare), refused(/^volume_capability is missing/));
  t.match(readPublish(publishRequest(idText, '/s', '/t', { readOnly: true })), {
    id,
    readOnly: true,
    targetPath: '/t',
  });
  t.end();
});

t.test('NodeUnstageVolume and NodeUnpublishVolume take garbage for an id, and need a path', (t) => {
  t.strictSame(readUnstage(unstageRequest('fake', '/s')), { idText: 'fake', id: undefined, stagingPath: '/s' });
  t.strictSame(readUnstage(unstageRequest(idText, '/s')).id, id);
  t.throws(() => readUnstage(unstageRequest('', '/s')), refused(/^volume_id/));
  t.throws(() => readUnstage(unstageRequest(idText, '')), refused(/^staging_target_path/));
  t.strictSame(readUnpublish(unpublishRequest('fake', '/t')), { idText: 'fake', targetPath: '/t' });
  t.throws(() => readUnpublish(unpublishRequest('', '/t')), refused(/^volume_id/));
  t.throws(() => readUnpublish(unpublishRequest(idText, 't')), refused(/^target_path "t" is relative/));
  t.end();
});

t.test('NodeGetVolumeStats takes a relative path, at which nothing is, and needs one', (t) => {
  const { NodeGetVolumeStatsRequest: Request } = csi.v1;
  t.match(readStats(new Request({ volume_id: idText, volume_path: 'some/path' })), { id, volumePath: 'some/path' });
  t.throws(() => readStats(new Request({ volume_id: idText })), refused(/^volume_path is empty/));
  t.throws(() => readStats(new Request({ volume_path: '/t' })), refused(/^volume_id/));
  t.end();
});

import t from 'tap';
import { csi } from '../../../src/csi/gen/csi.js';
import {
  readCreateVolume,
  readDeleteVolume,
  readGetCapacity,
  readListVolumes,
  readValidate,
} from '../../../src/csi/validate/controller.js';
import { makeCephxKey } from '../../domain/make-cephx-key.js';
import {
  blockCapability,
  type CreateOptions,
  createRequest,
  deleteRequest,
  mountCapability,
} from '../../harness/requests.js';

const refused = (message: RegExp) => ({ code: 'INVALID_ARGUMENT', message });
const secrets = { userID: 'kube', userKey: makeCephxKey() };
const id = { backend: 'rbd', clusterId: 'default', pool: 'rbd', namespace: '', image: 'a' };

t.test('CreateVolume is read whole, sizes beyond 2^53 exactly', (t) => {
  const request = createRequest('pvc-1', {
    requiredBytes: 9007199254740993n,
    limitBytes: 9007199254740995n,
    parameters: { pool: 'ssd' },
    mutable: { qosIopsLimit: '10' },
    secrets,
  });
  const { credentials, ...rest } = readCreateVolume(request);
  t.strictSame(rest, {
    name: 'pvc-1',
    capacity: { requiredBytes: 9007199254740993n, limitBytes: 9007199254740995n },
    capabilities: [{ mode: 'SINGLE_NODE_WRITER', access: { type: 'mount', fsType: 'ext4', mountFlags: [] } }],
    parameters: { pool: 'ssd' },
    mutableParameters: { qosIopsLimit: '10' },
    source: undefined,
    requirement: undefined,
  });
  t.equal(credentials?.user, 'kube');
  t.end();
});

t.test('CreateVolume without a range has none, which is not a range of zeros', (t) => {
  const request = new csi.v1.CreateVolumeRequest({ name: 'a', volume_capabilities: [blockCapability()] });
  t.equal(readCreateVolume(request).capacity, undefined);
  t.end();
});

t.test('CreateVolume refuses what is missing and what the driver does not advertise, each by its name', (t) => {
  t.throws(() => readCreateVolume(createRequest('')), refused(/^name is empty/));
  t.throws(() => readCreateVolume(createRequest('a', { capabilities: [] })), refused(/^volume_capabilities is empty/));
  const tooMuch = createRequest('a', { parameters: { a: 'x'.repeat(4096) } });
  t.throws(() => readCreateVolume(tooMuch), refused(/^parameters holds 4097 bytes/));
  const source = createRequest('a');
  source.volume_content_source = new csi.v1.VolumeContentSource();
  t.throws(() => readCreateVolume(source), refused(/^volume_content_source names neither/));
  const tooMuchToChange = createRequest('a', { mutable: { a: 'x'.repeat(4096) } });
  t.throws(() => readCreateVolume(tooMuchToChange), refused(/^mutable_parameters holds 4097 bytes/));
  t.throws(() => readCreateVolume(createRequest('a', { secrets: { userID: 'x' } })), refused(/userKey/));
  t.end();
});

t.test('what a volume is made of is read from the ids, and one that names nothing is NOT_FOUND', (t) => {
  const id = { backend: 'rbd', clusterId: 'default', pool: 'rbd', namespace: '', image: 'a' } as const;
  const of = (source: NonNullable<CreateOptions['source']>) => readCreateVolume(createRequest('b', { source })).source;
  t.strictSame(of({ snapshot: 'rbd:default:rbd::a@s' }), { snapshot: { source: id, name: 's' } });
  t.strictSame(of({ volume: 'rbd:default:rbd::a' }), { volume: id });
  for (const source of [{ snapshot: 'rbd:default:rbd::a' }, { snapshot: 'x@y' }, { volume: 'x' }] as const)
    t.throws(() => of(source), { code: 'NOT_FOUND' }, JSON.stringify(source));
  for (const source of [{ snapshot: '' }, { volume: '' }] as const)
    t.throws(() => of(source), refused(/_id is empty/), JSON.stringify(source));
  t.end();
});

t.test('DeleteVolume reads an id of ours, and garbage as no id', (t) => {
  t.strictSame(readDeleteVolume(deleteRequest('rbd:default:rbd::a')), { id, credentials: undefined });
  t.equal(readDeleteVolume(deleteRequest('fake-vol-id')).id, undefined);
  t.throws(() => readDeleteVolume(deleteRequest('')), refused(/^volume_id is empty/));
  t.throws(() => readDeleteVolume(deleteRequest('x', { userKey: 'x' })), refused(/userID/));
  t.end();
});

t.test('ValidateVolumeCapabilities needs an id and capabilities', (t) => {
  const { ValidateVolumeCapabilitiesRequest: Request } = csi.v1;
  const read = readValidate(
    new Request({
      volume_id: 'garbage',
      volume_capabilities: [mountCapability()],
      volume_context: new Map([['mounter', 'nbd']]),
    }),
  );
  t.match(read, { idText: 'garbage', id: undefined, context: { mounter: 'nbd' } });
  t.throws(() => readValidate(new Request({ volume_capabilities: [mountCapability()] })), refused(/^volume_id/));
  t.throws(() => readValidate(new Request({ volume_id: 'a' })), refused(/^volume_capabilities is empty/));
  t.end();
});

t.test('GetCapacity may name nothing at all, and refuses a capability that is none', (t) => {
  t.strictSame(readGetCapacity(new csi.v1.GetCapacityRequest()), {
    parameters: {},
    capabilities: [],
    from: undefined,
  });
  const bad = new csi.v1.GetCapacityRequest({ volume_capabilities: [new csi.v1.VolumeCapability()] });
  t.throws(() => readGetCapacity(bad), refused(/^volume_capabilities\[0\]/));
  t.end();
});

t.test('ListVolumes refuses a negative max_entries and leaves the token to who gave it out', (t) => {
  const { ListVolumesRequest: Request } = csi.v1;
  t.throws(() => readListVolumes(new Request({ max_entries: -1 })), refused(/max_entries is -1/));
  t.strictSame(readListVolumes(new Request({ max_entries: 3, starting_token: 'x' })), {
    maxEntries: 3,
    startingToken: 'x',
  });
  t.end();
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { csi } from '../../src/csi/gen/csi.js';
import { google as timestamps } from '../../src/csi/gen/google/protobuf/timestamp.js';
import { google as wrappers } from '../../src/csi/gen/google/protobuf/wrappers.js';
import { repositoryRoot } from '../house/read-sources.js';
import { bytes, compileProto, encodeWithBuf, hex } from './buf.js';

const [descriptor] = compileProto();
const factsText = readFileSync(join(repositoryRoot(), 'test/csi/csi-1.13-wire.txt'), 'utf8');

// The varints are written by hand: the low seven bits first, two's complement in ten bytes when negative.
const INT64_VARINTS: readonly (readonly [value: string, varint: string])[] = [
  ['1', '01'],
  ['-1', 'ffffffffffffffffff01'],
  ['9007199254740991', 'ffffffffffffff0f'],
  ['9007199254740992', '8080808080808010'],
  ['9007199254740993', '8180808080808010'],
  ['9223372036854775807', 'ffffffffffffffff7f'],
  ['-9223372036854775808', '80808080808080808001'],
];

/** What the test needs of a generated class when it goes through them by name. */
interface MessageClass {
  new (data: Record<string, string>): { serialize(): Uint8Array };
  deserialize(bytes: Uint8Array): Record<string, unknown>;
}

void t.test('every 64-bit field is an exact decimal string both ways', (t) => {
  const classes = csi.v1 as unknown as Readonly<Record<string, MessageClass>>;
  const fields = descriptor.messageType.flatMap((message) =>
    (message.field ?? [])
      .filter((field) => field.type.endsWith('64'))
      .map((field) => ({ type: classes[message.name], name: field.name, number: field.number })),
  );
  t.equal(fields.length, [...factsText.matchAll(/^ +int64 /gm)].length);
  fields.push(
    { type: wrappers.protobuf.Int64Value as unknown as MessageClass, name: 'value', number: 1 },
    { type: timestamps.protobuf.Timestamp as unknown as MessageClass, name: 'seconds', number: 1 },
  );
  for (const { type, name, number } of fields) {
    if (type === undefined) throw new Error(`no class has the field ${name}`);
    const tag = Buffer.from([number << 3]).toString('hex');
    for (const [value, varint] of INT64_VARINTS) {
      t.equal(hex(new type({ [name]: value }).serialize()), tag + varint, `${name} ${value} to the wire`);
      t.equal(type.deserialize(bytes(tag + varint))[name], value, `${name} ${value} from the wire`);
    }
    t.equal(hex(new type({ [name]: '0' }).serialize()), '', `${name} 0 is left out`);
    t.equal(type.deserialize(bytes(''))[name], '0', `${name} is 0 when left out`);
    t.equal(type.deserialize(bytes(`${tag}00`))[name], '0', `${name} is 0 when written as such`);
  }
  t.end();
});

void t.test('Unicode names and maps come back as they were', (t) => {
  const names = ['', 'pvc-1', 'Größe', 'データ', '🐙'.repeat(40), 'nul \0 and\nnewline'];
  const entries = new Map(names.map((name, index) => [name, names[names.length - 1 - index] ?? '']));
  for (const name of names) {
    const sent = new csi.v1.CreateVolumeRequest({ name, parameters: entries, secrets: new Map([['__proto__', name]]) });
    const received = csi.v1.CreateVolumeRequest.deserialize(sent.serialize());
    t.equal(received.name, name);
    t.same([...received.parameters], [...entries]);
    t.same([...received.secrets], [['__proto__', name]]);
    t.equal(received.mutable_parameters.size, 0);
  }
  t.end();
});

void t.test('a map entry that leaves out its key or its value has empty ones', (t) => {
  const segmentsOf = (entry: string) => [...csi.v1.Topology.deserialize(bytes(entry)).segments];
  t.same(segmentsOf('0a030a0161'), [['a', '']]);
  t.same(segmentsOf('0a03120161'), [['', 'a']]);
  t.same(segmentsOf('0a00'), [['', '']]);
  t.end();
});

void t.test('a oneof holds the member that was set last, also when that member is empty', (t) => {
  const { VolumeCapability } = csi.v1;
  const capability = new VolumeCapability({ mount: new VolumeCapability.MountVolume({ fs_type: 'xfs' }) });
  t.equal(VolumeCapability.deserialize(capability.serialize()).access_type, 'mount');
  capability.block = new VolumeCapability.BlockVolume();
  const received = VolumeCapability.deserialize(capability.serialize());
  t.equal(received.access_type, 'block');
  t.ok(received.block instanceof VolumeCapability.BlockVolume);
  t.equal(received.mount, undefined);
  t.equal(hex(capability.serialize()), '0a00');
  t.equal(VolumeCapability.deserialize(bytes('')).access_type, 'none');
  t.end();
});

void t.test('an empty message reads as defaults, and a message that was not sent as undefined', (t) => {
  const request = csi.v1.CreateVolumeRequest.deserialize(bytes(''));
  t.equal(hex(request.serialize()), '');
  t.equal(request.name, '');
  t.same(request.volume_capabilities, []);
  t.equal(request.has_capacity_range, false);
  t.equal(request.capacity_range, undefined);
  t.equal(request.volume_content_source?.snapshot?.snapshot_id, undefined);
  t.equal(hex(new csi.v1.DeleteVolumeResponse().serialize()), '');
  const ready = (value: boolean) => new csi.v1.ProbeResponse({ ready: new wrappers.protobuf.BoolValue({ value }) });
  t.equal(csi.v1.ProbeResponse.deserialize(ready(false).serialize()).ready?.value, false);
  t.equal(csi.v1.ProbeResponse.deserialize(new csi.v1.ProbeResponse().serialize()).ready, undefined);
  t.end();
});

void t.test('fields and enum values from another version of the contract do no harm', (t) => {
  // Number 1000 as varint, fixed64, bytes, group and fixed32, around a volume_id.
  const unknown = ['c03e8101', 'c13e0102030405060708', 'c23e03616263', 'c33e0801c43e', 'c53e01020304'];
  const volumeId = '0a03766f6c';
  for (const field of unknown) {
    t.equal(csi.v1.DeleteVolumeRequest.deserialize(bytes(field + volumeId + field)).volume_id, 'vol', field);
  }
  // The volume_condition that drivers sent up to 1.12, in its now reserved number.
  const stats = csi.v1.NodeGetVolumeStatsResponse.deserialize(bytes('0a0208051206080112026f6b'));
  t.same(
    stats.usage.map((usage) => usage.available),
    ['5'],
  );
  t.equal(csi.v1.VolumeCapability.AccessMode.deserialize(bytes('0863')).mode, 99);
  t.throws(() => csi.v1.DeleteVolumeRequest.deserialize(bytes('0a7f766f6c')), 'a cut-off message is refused');
  t.end();
});

void t.test('an independent encoder makes the same bytes', (t) => {
  const { AccessMode, MountVolume } = csi.v1.VolumeCapability;
  const zone = new csi.v1.Topology({ segments: new Map([['zone', 'z1']]) });
  const request = new csi.v1.CreateVolumeRequest({
    name: 'pvc-größe-🐙',
    capacity_range: new csi.v1.CapacityRange({
      required_bytes: '9007199254740993',
      limit_bytes: '9223372036854775807',
    }),
    volume_capabilities: [
      new csi.v1.VolumeCapability({
        mount: new MountVolume({ fs_type: 'ext4', mount_flags: ['noatime', ''], volume_mount_group: '1000' }),
        access_mode: new AccessMode({ mode: AccessMode.Mode.MULTI_NODE_MULTI_WRITER }),
      }),
      new csi.v1.VolumeCapability({ block: new csi.v1.VolumeCapability.BlockVolume() }),
    ],
    // One entry each: the order of a map's entries is anyone's choice.
    parameters: new Map([['pool', 'rbd']]),
    secrets: new Map([['userKey', '']]),
    volume_content_source: new csi.v1.VolumeContentSource({
      snapshot: new csi.v1.VolumeContentSource.SnapshotSource({ snapshot_id: 's-1' }),
    }),
    accessibility_requirements: new csi.v1.TopologyRequirement({ requisite: [zone, zone], preferred: [zone] }),
    mutable_parameters: new Map([['', 'x']]),
  });
  const json = {
    name: 'pvc-größe-🐙',
    capacity_range: { required_bytes: '9007199254740993', limit_bytes: '9223372036854775807' },
    volume_capabilities: [
      {
        mount: { fs_type: 'ext4', mount_flags: ['noatime', ''], volume_mount_group: '1000' },
        access_mode: { mode: 'MULTI_NODE_MULTI_WRITER' },
      },
      { block: {} },
    ],
    parameters: { pool: 'rbd' },
    secrets: { userKey: '' },
    volume_content_source: { snapshot: { snapshot_id: 's-1' } },
    accessibility_requirements: {
      requisite: [{ segments: { zone: 'z1' } }, { segments: { zone: 'z1' } }],
      preferred: [{ segments: { zone: 'z1' } }],
    },
    mutable_parameters: { '': 'x' },
  };
  // buf writes the members of a oneof after all other fields: equal once buf has put the fields in its own order.
  const type = 'csi.v1.CreateVolumeRequest';
  const encoded = encodeWithBuf(type, json);
  t.equal(encodeWithBuf(type, request.serialize()), encoded);
  t.equal(hex(csi.v1.CreateVolumeRequest.deserialize(bytes(encoded)).serialize()), hex(request.serialize()));
  // With nothing beside a oneof there is but one order.
  const access_mode = new AccessMode({ mode: AccessMode.Mode.SINGLE_NODE_WRITER });
  request.volume_capabilities = [
    new csi.v1.VolumeCapability({ mount: new MountVolume({ fs_type: 'xfs' }) }),
    new csi.v1.VolumeCapability({ access_mode }),
  ];
  const volume_capabilities = [{ mount: { fs_type: 'xfs' } }, { access_mode: { mode: 'SINGLE_NODE_WRITER' } }];
  t.equal(hex(request.serialize()), encodeWithBuf(type, { ...json, volume_capabilities }));

  const capacity = new csi.v1.GetCapacityResponse({
    available_capacity: '-1',
    maximum_volume_size: new wrappers.protobuf.Int64Value({ value: '9007199254740993' }),
    minimum_volume_size: new wrappers.protobuf.Int64Value({ value: '0' }),
  });
  const capacityJson = { available_capacity: '-1', maximum_volume_size: '9007199254740993', minimum_volume_size: '0' };
  t.equal(hex(capacity.serialize()), encodeWithBuf('csi.v1.GetCapacityResponse', capacityJson));

  const creation_time = new timestamps.protobuf.Timestamp({ seconds: '1700000000', nanos: 5 });
  const snapshot = new csi.v1.Snapshot({ creation_time, ready_to_use: true });
  const snapshotJson = { creation_time: '2023-11-14T22:13:20.000000005Z', ready_to_use: true };
  t.equal(hex(snapshot.serialize()), encodeWithBuf('csi.v1.Snapshot', snapshotJson));
  t.end();
});

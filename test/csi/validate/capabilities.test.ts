import t from 'tap';
import { csi } from '../../../src/csi/gen/csi.js';
import { readCapabilities, readCapability } from '../../../src/csi/validate/capabilities.js';
import { blockCapability, mountCapability } from '../../harness/requests.js';

const refused = (message: RegExp) => ({ code: 'INVALID_ARGUMENT', message });
const read = (message: csi.v1.VolumeCapability | undefined) => readCapability('volume_capability', message);

t.test('a mount capability is read with its file system and flags, a block capability without', (t) => {
  t.strictSame(read(mountCapability('MULTI_NODE_READER_ONLY', 'xfs', ['noatime', 'commit=5'])), {
    mode: 'MULTI_NODE_READER_ONLY',
    access: { type: 'mount', fsType: 'xfs', mountFlags: ['noatime', 'commit=5'] },
  });
  t.strictSame(read(mountCapability('SINGLE_NODE_WRITER', '')), {
    mode: 'SINGLE_NODE_WRITER',
    access: { type: 'mount', fsType: '', mountFlags: [] },
  });
  t.strictSame(read(blockCapability('MULTI_NODE_MULTI_WRITER')), {
    mode: 'MULTI_NODE_MULTI_WRITER',
    access: { type: 'block' },
  });
  t.end();
});

const flags: readonly [string, string, RegExp][] = [
  ['a comma smuggles in a second flag', 'noatime,suid', /mount_flags\[1\] holds a comma/],
  ['it carries a secret', 'secret=AQBmarker==', /mount_flags\[1\] carries a secret \("secret=\.\.\."\)/],
  ['it names a file with a secret', 'secretfile=/etc/marker', /carries a secret \("secretfile=/],
  ['it carries a password, in capitals', 'PassWord=marker', /carries a secret/],
  ['it carries a key', 'key=marker', /carries a secret/],
  ['it carries a keyring', 'keyring=/etc/marker', /carries a secret/],
  ['it starts with a dash, as an option of mount(8)', '-obind', /no mount flag/],
  ['it is empty', '', /no mount flag/],
  ['it holds a blank', 'noatime suid', /no mount flag/],
  ['it holds a line feed', 'noatime\n', /no mount flag/],
  ['it is no ASCII', 'nöatime', /no mount flag/],
];

for (const [why, flag, message] of flags) {
  t.test(`a mount flag is refused when ${why}`, (t) => {
    const capability = mountCapability('SINGLE_NODE_WRITER', 'ext4', ['noatime', flag]);
    t.throws(() => read(capability), refused(message));
    try {
      read(capability);
    } catch (error) {
      t.notMatch((error as Error).message, /marker/, 'the value is not repeated');
    }
    t.end();
  });
}

t.test('a capability must be there, with an access type and an access mode', (t) => {
  t.throws(() => read(undefined), refused(/^volume_capability is missing/));
  const { AccessMode } = csi.v1.VolumeCapability;
  const mode = new AccessMode({ mode: AccessMode.Mode.SINGLE_NODE_WRITER });
  const block = new csi.v1.VolumeCapability.BlockVolume();
  t.throws(
    () => read(new csi.v1.VolumeCapability({ access_mode: mode })),
    refused(/volume_capability sets neither mount nor block/),
  );
  for (const access_mode of [undefined, new AccessMode(), new AccessMode({ mode: 99 as never })]) {
    const capability = new csi.v1.VolumeCapability({ block, ...(access_mode === undefined ? {} : { access_mode }) });
    t.throws(() => read(capability), refused(/access_mode is missing or unknown: use one of SINGLE_NODE_WRITER/));
  }
  t.end();
});

t.test('a mount group and a file system type that is none are refused', (t) => {
  const capability = mountCapability();
  if (capability.mount !== undefined) capability.mount.volume_mount_group = '1000';
  t.throws(() => read(capability), refused(/volume_mount_group .* use fsGroup/));
  for (const fsType of ['ext4 -F', '../ext4', 'ext4\n', '--help', 'EXT4'])
    t.throws(() => read(mountCapability('SINGLE_NODE_WRITER', fsType)), refused(/fs_type .* use ext4 or xfs/s), fsType);
  t.end();
});

t.test('at least one capability must be named, and a bad one is named by its place', (t) => {
  t.throws(() => readCapabilities('volume_capabilities', []), refused(/volume_capabilities is empty/));
  t.equal(readCapabilities('volume_capabilities', [mountCapability(), blockCapability()]).length, 2);
  t.throws(
    () => readCapabilities('volume_capabilities', [mountCapability(), new csi.v1.VolumeCapability()]),
    refused(/^volume_capabilities\[1\]/),
  );
  t.end();
});

import type { ParameterReference } from '../parameters.js';

/** Every parameter that a StorageClass for CephFS may have: what is not in it is refused, and docs/configuration.md is made of it. */
export const cephfsParameterReference = {
  backend: {
    fallback: 'required: `cephfs`',
    meaning: 'The kind of volume',
  },
  clusterID: {
    fallback: 'the only cluster there is',
    meaning: "A cluster's `id` in the configuration file",
  },
  fsName: {
    fallback: "the cluster's `cephfs.fsName`",
    meaning: 'The file system (`ceph fs ls`)',
  },
  pool: {
    fallback: 'that of the directory above',
    meaning: "Data pool of the volume's files; one of the file system's",
  },
  maxFiles: {
    fallback: 'any number',
    meaning: 'How many files and directories the volume may hold (`ceph.quota.max_files`)',
  },
  mode: {
    fallback: '`0777`',
    meaning: "Permission bits of the volume's directory, in octal",
  },
  uid: {
    fallback: "the driver's own user",
    meaning: "Owner of the volume's directory; `uid` and `gid` go together",
  },
  gid: {
    fallback: "the driver's own group",
    meaning: 'Its group',
  },
  namespaceIsolated: {
    fallback: '`false`',
    meaning: "`true`: the files' data lies in a RADOS namespace of the volume's own (`fsvolumens_<name>`)",
  },
  volumeNamePrefix: {
    fallback: '`csi-vol-`',
    meaning: "Start of the directories' names, at most 40 bytes, not with `.` or `_`",
  },
  backingSnapshot: {
    fallback: '`true` where all access modes are read-only, else `false`',
    meaning:
      "Whether a volume made of a snapshot shows the snapshot itself instead of a copy. `true` refuses claims that could write; parameters about new directories don't count then",
  },
  mounter: {
    fallback: '`auto`',
    meaning:
      '`kernel`, `fuse`, or `auto`: the kernel client where it is there and enforces quotas (from Linux 4.17 on), else ceph-fuse; the log says why. A named one is used or is an error',
  },
  kernelMountOptions: {
    fallback: 'none',
    meaning: 'Mount options for the kernel client, separated by commas',
  },
  fuseMountOptions: {
    fallback: 'none',
    meaning: 'The same for ceph-fuse',
  },
} as const satisfies ParameterReference;

export type CephfsParameterName = keyof typeof cephfsParameterReference;
export const cephfsParameterNames = Object.keys(cephfsParameterReference) as CephfsParameterName[];

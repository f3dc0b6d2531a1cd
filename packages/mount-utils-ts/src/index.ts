export type { Exec, ExecFailure, ExecOptions, ExecResult, MountContext } from './exec.js';
export { MountError, type MountErrorDetails, type MountErrorKind } from './mount-error.js';
export {
  coveringMount,
  isShared,
  mountPointOf,
  parseMountInfo,
  readMountInfo,
  searchMountPoints,
  type MountInfo,
} from './mount-info.js';
export { Mounter, type BindOptions, type MounterDependencies, type MounterLike } from './mounter.js';
export { FakeMounter, type FakeAction, type FakeActionName } from './fake-mounter.js';
export { describeFormat, type DiskFormat } from './disk-format.js';
export { Luks, type LuksDependencies, type LuksHeader, type OpenedLuks } from './luks.js';
export {
  SafeFormatAndMount,
  type FormatAndMountRequest,
  type FormatAndMountResult,
  type SafeFormatAndMountDependencies,
} from './safe-format-and-mount.js';
export {
  attachLoop,
  backingFileOf,
  detachLoop,
  findLoops,
  isLoopOver,
  refreshLoopSize,
  type AttachOptions,
  type DetachOutcome,
  type LoopDevice,
} from './loop-device.js';
export { ResizeFs, type ResizeFsDependencies } from './resize-fs.js';
export { isCorruptedMount, probePath, type PathState } from './corrupted-mount.js';
export { cleanupMountPoint, type CleanupOptions } from './cleanup-mount-point.js';
export { pathExists, pathWithinBase } from './path-within-base.js';
export { getDeviceNameFromMount, type MountedDevice } from './device-name.js';
export { fileSystemSizeBytes } from './file-system-size.js';
export { blockDeviceNumber, deviceSizeBytes, type DeviceNumber } from './device-number.js';

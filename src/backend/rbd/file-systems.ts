/** The file systems that an image can be formatted with. */
export const fileSystems: readonly string[] = ['ext4', 'xfs'];

/** CSI's external-provisioner sets one by --default-fstype; without any it is what Kubernetes' in-tree plugins took. */
export const defaultFileSystem = 'ext4';

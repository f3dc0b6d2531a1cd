import type { RecordPlace } from '../volume-record.js';

/** Image metadata key of the volume's record; `rbd image-meta get IMAGE .cuttle.volume` shows it. */
export const recordKey = '.cuttle.volume';
/** Set once the image has been formatted by us: a blank look afterwards is damage, not a new image. */
export const formattedKey = '.cuttle.formatted';
/** Set on an encrypted volume's image: how many of its bytes the LUKS header takes. RBD's clones inherit it, as they do the header. */
export const encryptedKey = '.cuttle.encrypted';
/** Set before the image goes to the trash: only what carries it is purged by us. */
export const deletedKey = '.cuttle.deleted';

/** The nodes that the image is attached to. */
export const attachedKey = '.cuttle.attached';

/** Where its attachments lie, for parseAttachments. */
export function attachedPlace(image: string): RecordPlace {
  return {
    what: `the metadata ${attachedKey} of image ${image}`,
    removal: `rbd image-meta remove ${image} ${attachedKey}`,
  };
}

/** Where an image's record lies, for parseRecord. */
export function recordPlace(image: string): RecordPlace {
  return {
    what: `the metadata ${recordKey} of image ${image}`,
    removal: `rbd image-meta remove ${image} ${recordKey}`,
  };
}

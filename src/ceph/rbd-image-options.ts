import type { ImageClone } from './client.js';
import { type Pointer, type PointerOut, written } from './native/library.js';
import { imageOption, librbd } from './native/librbd.js';

/** librbd's options for a new image, for as long as they are used (librbd.h, rbd_image_options_t). */
export async function withImageOptions<T>(
  image: ImageClone & { readonly cloneFormat?: bigint },
  use: (options: Pointer) => Promise<T>,
): Promise<T> {
  const rbd = librbd();
  const out: PointerOut = [null];
  rbd.createOptions.sync(out);
  const options = written(out);
  const set = (option: number, value: number | bigint | undefined): void => {
    if (value !== undefined) rbd.setOptionUint64.sync(options, option, value);
  };
  try {
    set(imageOption.features, image.features);
    set(imageOption.cloneFormat, image.cloneFormat);
    set(imageOption.order, image.order);
    set(imageOption.stripeUnit, image.stripeUnitBytes);
    set(imageOption.stripeCount, image.stripeCount);
    if (image.dataPool !== undefined) rbd.setOptionString.sync(options, imageOption.dataPool, image.dataPool);
    return await use(options);
  } finally {
    rbd.destroyOptions.sync(options);
  }
}

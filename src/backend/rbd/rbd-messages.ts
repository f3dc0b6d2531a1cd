import { explainKernelLines, type KernelFinding, type KernelMessage } from '../kernel-messages.js';
import { featureNames } from './features.js';

/** Of Linux, drivers/block/rbd.c. `image` is `pool/name` or `pool/namespace/name`, or the name alone. */
const messages: readonly KernelMessage[] = [
  {
    pattern: /^rbd: .*image uses unsupported features: 0x([0-9a-f]+)/,
    means: ([, bits = '0']) => ({
      code: 'FAILED_PRECONDITION',
      sentence: `this kernel does not support the image features ${featureNames(BigInt(`0x${bits}`)).join(', ')}: leave them out of imageFeatures in the StorageClass, set mounter to auto, nbd or userspace, or for this image: rbd feature disable`,
    }),
  },
  {
    pattern: /^rbd: image (\S+) does not exist/,
    means: ([, image = '']) => ({ code: 'NOT_FOUND', sentence: `there is no image ${image}` }),
  },
  {
    pattern: /^rbd: pool (\S+) does not exist/,
    means: ([, pool = '']) => ({ code: 'NOT_FOUND', sentence: `there is no pool ${pool}` }),
  },
];

/** Lines of other images are left out; those of monitors may come from another volume of the same moment, and are true all the same. */
export function explainRbdLines(lines: readonly string[], image: string): readonly KernelFinding[] {
  return explainKernelLines(
    lines.filter((line) => {
      const named = /^rbd: image (\S+?):? /.exec(line)?.[1];
      return named === undefined || named.split('/').at(-1) === image;
    }),
    messages,
  );
}

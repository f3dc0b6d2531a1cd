import { loadLibrary, type Pointer, type PointerOut, written } from '../../src/ceph/native/library.js';
import { librados } from '../../src/ceph/native/librados.js';
import { librbd } from '../../src/ceph/native/librbd.js';

/** What is in images, by librbd too, but on a client of its own, as client.admin. */
export interface RawImages {
  /** Puts the text at the beginning and at the end of the image. */
  write(image: string, text: string): Promise<void>;
  /** @throws Error when beginning and end say something else. */
  read(image: string): Promise<string>;
  close(): Promise<void>;
}

const blockBytes = 4096;

export async function openRawImages(confPath: string, pool: string, namespace: string): Promise<RawImages> {
  const { call } = loadLibrary('librbd.so.1', 'librbd1');
  const native = {
    read: call('int64_t rbd_read(void *image, uint64_t offset, size_t length, void *bytes)'),
    write: call('int64_t rbd_write(void *image, uint64_t offset, size_t length, void *bytes)'),
    size: call('int rbd_get_size(void *image, void *size)'),
  };
  const cluster: PointerOut = [null];
  check(librados().create.sync(cluster, 'ceph', 'client.admin', 0n), 'rados_create2');
  check(librados().readConf.sync(written(cluster), confPath), 'rados_conf_read_file');
  check(librados().setConf.sync(written(cluster), 'rbd_cache', 'false'), 'rados_conf_set');
  check(await librados().connect(written(cluster)), 'rados_connect');
  const io: PointerOut = [null];
  check(await librados().openIo(written(cluster), pool, io), 'rados_ioctx_create');
  librados().setNamespace.sync(written(io), namespace);

  const withImage = async <T>(name: string, mode: 'read' | 'write', use: (image: Pointer, offsets: bigint[]) => T) => {
    const image: PointerOut = [null];
    const open = mode === 'read' ? librbd().openReadOnly : librbd().open;
    check(await open(written(io), name, image, null), `rbd_open ${name}`);
    try {
      const size = Buffer.alloc(8);
      check(await native.size(written(image), size), 'rbd_get_size');
      return await use(written(image), [0n, size.readBigUInt64LE() - BigInt(blockBytes)]);
    } finally {
      await librbd().close(written(image));
    }
  };
  return {
    write: async (name, text) =>
      withImage(name, 'write', async (image, offsets) => {
        const block = Buffer.alloc(blockBytes, `${text}\n`);
        for (const offset of offsets)
          check(await native.write(image, offset, blockBytes, block), `rbd_write ${name} at ${offset}`);
      }),
    read: async (name) =>
      withImage(name, 'read', async (image, offsets) => {
        const texts = new Set<string>();
        for (const offset of offsets) {
          const block = Buffer.alloc(blockBytes);
          check(await native.read(image, offset, blockBytes, block), `rbd_read ${name} at ${offset}`);
          const text = block.toString('utf8').split(/[\n\0]/)[0] ?? '';
          texts.add(block.equals(Buffer.alloc(blockBytes, text === '' ? 0 : `${text}\n`)) ? text : 'torn');
        }
        return [...texts].join(' and ');
      }),
    close: async () => {
      librados().closeIo.sync(written(io));
      await librados().shutdown(written(cluster));
    },
  };
}

function check(returned: number, what: string): void {
  if (returned < 0) throw new Error(`${what}: errno ${-returned}`);
}

import type { Test } from 'tap';
import { chainContract } from './chain.contract.js';
import type { MakeSubject } from './contract-subject.js';
import { directoryPartContract } from './directory-part.contract.js';
import { fileSystemContract } from './file-system.contract.js';
import { imageContract } from './image.contract.js';
import { imageListContract } from './image-list.contract.js';
import { metadataContract } from './metadata.contract.js';
import { omapContract } from './omap.contract.js';
import { poolContract } from './pool.contract.js';
import { trashContract } from './trash.contract.js';

/** Everything that src/ceph/client.ts promises, for any implementation of it. */
export async function cephClientContract(t: Test, makeSubject: MakeSubject): Promise<void> {
  const subject = await makeSubject();
  await t.test('pools, namespaces and locks', async (t) => poolContract(t, subject));
  await t.test('chains of clones', async (t) => chainContract(t, subject));
  await t.test('object maps', async (t) => omapContract(t, subject));
  await t.test('images', async (t) => imageContract(t, subject));
  await t.test('image metadata', async (t) => metadataContract(t, subject));
  await t.test('lists of images', async (t) => imageListContract(t, subject));
  await t.test('file systems', async (t) => fileSystemContract(t, subject));
  await t.test('parts of directories', async (t) => directoryPartContract(t, subject));
  await t.test('the trash', async (t) => trashContract(t, subject));
}

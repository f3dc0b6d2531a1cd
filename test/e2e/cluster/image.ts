import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

/** The one image of the test: Debian's static busybox. It never ends unless told what to do, so it is the pods' sandbox as well. */
export const image = 'cuttle.test/busybox:1';

const busybox = '/bin/busybox';
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** Writes it as an archive that `ctr image import` reads. @returns the archive's path. */
export async function makeImage(directory: string): Promise<string> {
  const root = join(directory, 'root');
  await makeRoot(root);
  const layer = join(directory, 'layer.tar');
  await tar(layer, root, '.');
  const config = {
    architecture: architectures[process.arch] ?? process.arch,
    os: 'linux',
    config: { Entrypoint: ['/bin/tail', '-f', '/dev/null'], Env: ['PATH=/bin'], WorkingDir: '/' },
    rootfs: {
      type: 'layers',
      diff_ids: [
        `sha256:${createHash('sha256')
          .update(await readFile(layer))
          .digest('hex')}`,
      ],
    },
  };
  const manifest = [{ Config: 'config.json', RepoTags: [image], Layers: ['layer.tar'] }];
  await writeFile(join(directory, 'config.json'), JSON.stringify(config));
  await writeFile(join(directory, 'manifest.json'), JSON.stringify(manifest));
  const archive = join(directory, 'image.tar');
  await tar(archive, directory, 'manifest.json', 'config.json', 'layer.tar');
  await rm(root, { recursive: true });
  await rm(layer);
  return archive;
}

async function makeRoot(root: string): Promise<void> {
  for (const name of ['bin', 'etc', 'tmp', 'proc', 'sys', 'dev']) await mkdir(join(root, name), { recursive: true });
  await copyFile(busybox, join(root, 'bin', 'busybox'));
  const { stdout } = await execa(busybox, ['--list']);
  for (const name of stdout.split('\n').filter((each) => each !== 'busybox')) {
    await symlink('busybox', join(root, 'bin', name));
  }
  await writeFile(join(root, 'etc', 'passwd'), 'root:x:0:0:root:/:/bin/sh\n');
}

async function tar(archive: string, directory: string, ...names: string[]): Promise<void> {
  await execa('tar', ['--create', '--numeric-owner', `--file=${archive}`, `--directory=${directory}`, ...names]);
}

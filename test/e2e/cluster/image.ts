import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';

/** An image of one layer. */
export interface SmallImage {
  readonly name: string;
  readonly entrypoint: readonly string[];
  /** Paths in the image, each with the file of this machine that is copied there. */
  readonly files: Readonly<Record<string, string>>;
  /** Symbolic links in it, each with what it points to. */
  readonly links?: Readonly<Record<string, string>>;
}

const busybox = '/bin/busybox';
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** Debian's static busybox. It never ends unless told what to do, so it is the pods' sandbox as well. */
export const podImage = 'cuttle.test/busybox:1';

export async function busyboxImage(): Promise<SmallImage> {
  const { stdout } = await execa(busybox, ['--list']);
  const applets = stdout.split('\n').filter((each) => each !== 'busybox');
  return {
    name: podImage,
    entrypoint: ['/bin/tail', '-f', '/dev/null'],
    files: { 'bin/busybox': busybox },
    links: Object.fromEntries(applets.map((applet) => [`bin/${applet}`, 'busybox'])),
  };
}

/** A program that needs nothing but itself, as the sidecars' own images have it. */
export function programImage(name: string, program: string): SmallImage {
  return { name, entrypoint: ['/program'], files: { program } };
}

/** Writes an image as an archive that `ctr image import` reads. @returns the archive's path. */
export async function writeArchive(parent: string, image: SmallImage): Promise<string> {
  await mkdir(parent, { recursive: true });
  const directory = await mkdtemp(join(parent, 'image-'));
  const root = join(directory, 'root');
  await makeRoot(root, image);
  await tar(join(directory, 'layer.tar'), root, '.');
  await rm(root, { recursive: true });
  const digest = createHash('sha256').update(await readFile(join(directory, 'layer.tar')));
  const config = {
    architecture: architectures[process.arch] ?? process.arch,
    os: 'linux',
    config: { Entrypoint: image.entrypoint, Env: ['PATH=/bin'], WorkingDir: '/' },
    rootfs: { type: 'layers', diff_ids: [`sha256:${digest.digest('hex')}`] },
  };
  const manifest = [{ Config: 'config.json', RepoTags: [image.name], Layers: ['layer.tar'] }];
  await writeFile(join(directory, 'config.json'), JSON.stringify(config));
  await writeFile(join(directory, 'manifest.json'), JSON.stringify(manifest));
  const archive = join(directory, 'image.tar');
  await tar(archive, directory, 'manifest.json', 'config.json', 'layer.tar');
  await rm(join(directory, 'layer.tar'));
  return archive;
}

async function makeRoot(root: string, { files, links = {} }: SmallImage): Promise<void> {
  for (const name of ['etc', 'tmp', 'proc', 'sys', 'dev']) await mkdir(join(root, name), { recursive: true });
  for (const [path, source] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await copyFile(source, join(root, path));
  }
  for (const [path, target] of Object.entries(links)) await symlink(target, join(root, path));
  await writeFile(join(root, 'etc', 'passwd'), 'root:x:0:0:root:/:/bin/sh\n');
}

async function tar(archive: string, directory: string, ...names: string[]): Promise<void> {
  await execa('tar', ['--create', '--numeric-owner', `--file=${archive}`, `--directory=${directory}`, ...names]);
}

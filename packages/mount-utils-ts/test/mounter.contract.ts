import type { Test } from 'tap';
import type { MounterLike } from '../src/mounter.js';

export interface MounterUnderTest {
  mounter: MounterLike;
  /** Makes an empty directory to mount at. */
  makeDir: (name: string) => Promise<string>;
}

/** What every MounterLike does: run against the real one and the fake. */
export function mounterContract(t: Test, make: (t: Test) => Promise<MounterUnderTest>, skip: string | false): void {
  void t.test(
    'a mount appears in the list with its type and source, and goes when it is unmounted',
    { skip },
    async (t) => {
      const { mounter, makeDir } = await make(t);
      const target = await makeDir('target');
      t.equal(await mounter.isMountPoint(target), false);
      await mounter.mount('some-source', target, 'tmpfs', ['noexec']);
      const entry = (await mounter.list()).find((mounted) => mounted.mountPoint === target);
      t.match(entry, { source: 'some-source', fsType: 'tmpfs' });
      t.ok(entry?.mountOptions.includes('noexec'));
      t.equal(await mounter.isMountPoint(target), true);
      t.equal(await mounter.isLikelyNotMountPoint(target), false);
      await mounter.unmount(target);
      t.equal(await mounter.isMountPoint(target), false);
      t.equal(await mounter.isLikelyNotMountPoint(target), true);
    },
  );

  void t.test('unmounting what is not mounted is fine', { skip }, async (t) => {
    const { mounter, makeDir } = await make(t);
    const target = await makeDir('target');
    await mounter.unmount(target);
    await mounter.unmountLazy(target);
    await mounter.unmountWithForce(target, 1_000);
    t.equal(await mounter.isMountPoint(target), false);
    t.equal(mounter.canSafelySkipMountPointCheck(), true);
  });

  void t.test('a bind is a reference of its source, and read-only when that was asked', { skip }, async (t) => {
    const { mounter, makeDir } = await make(t);
    const [source, target] = [await makeDir('source'), await makeDir('target')];
    await mounter.mount('tmpfs', source, 'tmpfs', []);
    await mounter.bindMount(source, target, { readOnly: true });
    t.strictSame(await mounter.getMountRefs(source), [target]);
    t.strictSame(await mounter.getMountRefs(target), [source]);
    const table = await mounter.list();
    t.ok(table.find((entry) => entry.mountPoint === target)?.mountOptions.includes('ro'));
    t.ok(table.find((entry) => entry.mountPoint === source)?.mountOptions.includes('rw'));
  });

  void t.test('a plain bind of a read-only bind is read-only from its first moment on', { skip }, async (t) => {
    const { mounter, makeDir } = await make(t);
    const [source, aside, target] = [await makeDir('source'), await makeDir('aside'), await makeDir('target')];
    await mounter.mount('tmpfs', source, 'tmpfs', []);
    await mounter.bindMount(source, aside, { readOnly: true });
    await mounter.bindMount(aside, target);
    await mounter.unmount(aside);
    const table = await mounter.list();
    t.ok(table.find((entry) => entry.mountPoint === target)?.mountOptions.includes('ro'));
  });

  void t.test('stacked mounts come off one at a time, from the top', { skip }, async (t) => {
    const { mounter, makeDir } = await make(t);
    const target = await makeDir('target');
    for (const source of ['one', 'two', 'three']) await mounter.mount(source, target, 'tmpfs', []);
    const left = async () =>
      (await mounter.list()).filter((entry) => entry.mountPoint === target).map((entry) => entry.source);
    t.strictSame((await left()).sort(), ['one', 'three', 'two']);
    await mounter.unmount(target);
    t.strictSame((await left()).sort(), ['one', 'two']);
    await mounter.unmountLazy(target);
    t.strictSame(await left(), ['one']);
  });

  void t.test('a remount makes a mount read-only, and is refused where nothing is mounted', { skip }, async (t) => {
    const { mounter, makeDir } = await make(t);
    const target = await makeDir('target');
    await t.rejects(mounter.remount(target, ['ro']), /nothing is mounted there/);
    await mounter.mount('tmpfs', target, 'tmpfs', []);
    await mounter.remount(target, ['ro']);
    const entry = (await mounter.list()).find((mounted) => mounted.mountPoint === target);
    t.ok(entry?.mountOptions.includes('ro'));
  });
}

import t from 'tap';
import {
  attachedNodes,
  type AttachmentRecord,
  fencedAddresses,
  noAttachments,
  withNode,
} from '../../src/backend/attachment-record.js';
import { attach, type AttachmentPlace, detach, type OpenAttachments } from '../../src/backend/attachments.js';
import { DriverError } from '../../src/domain/errors.js';
import type { VolumeId } from '../../src/domain/volume-id.js';
import { testContext } from '../platform/test-context.js';

const id: VolumeId = { backend: 'rbd', clusterId: 'a', pool: 'p', namespace: '', image: 'i' };
const capability = { mode: 'SINGLE_NODE_WRITER', access: { type: 'block' } } as const;
const to = (node: string) => ({ node, capability, readOnly: false, credentials: undefined });
const ctx = testContext();

/** A volume in memory. `steps` counts what was done; `failAt` ends the process, as it were, before that step. */
class FakeVolume {
  record: AttachmentRecord = noAttachments;
  readonly named = new Map<string, readonly string[]>();
  readonly writing = new Set<string>();
  readonly blocklist = new Set<string>();
  readonly steps: string[] = [];
  failAt = 'nothing';
  /** So many times, somebody else is quicker. */
  races = 0;

  stage(node: string, address: string): void {
    this.named.set(node, [address]);
    this.writing.add(address);
  }

  open: OpenAttachments<VolumeId> = async () => {
    const { record } = this;
    const clients = async (node: string) => Promise.resolve(this.named.get(node) ?? []);
    const place: AttachmentPlace = {
      record,
      clientNodes: [...this.named.keys()],
      clients,
      holding: async (node) => (await clients(node)).filter((one) => this.writing.has(one)),
      replace: async (next) => {
        if (this.races-- > 0) this.record = { ...this.record };
        if (this.record !== record) return Promise.resolve(false);
        this.#step(`write ${attachedNodes(next).join()}`);
        this.record = next;
        return true;
      },
      fence: async (address) => {
        this.#step(`fence ${address}`);
        this.blocklist.add(address);
        this.writing.delete(address);
        return Promise.resolve();
      },
      lift: async (address) => {
        this.#step(`lift ${address}`);
        this.blocklist.delete(address);
        return Promise.resolve();
      },
    };
    return Promise.resolve(place);
  };

  #step(step: string): void {
    if (step === this.failAt || step.startsWith(`${this.failAt} `)) throw new Error('killed');
    this.steps.push(step);
  }
}

t.test('a volume that is not there is NOT_FOUND to attach and OK to detach', async (t) => {
  const missing: OpenAttachments<VolumeId> = async () => Promise.resolve(undefined);
  await t.rejects(attach(ctx, missing, id, to('a')), { code: 'NOT_FOUND' });
  await detach(ctx, missing, id, 'a', undefined);
  await detach(ctx, missing, id, undefined, undefined);
});

t.test('a clean detachment fences nobody, and a repeated one writes nothing', async (t) => {
  const volume = new FakeVolume();
  t.strictSame(await attach(ctx, volume.open, id, to('a')), { fencedClients: [] });
  volume.stage('a', '1');
  volume.writing.clear();
  await detach(ctx, volume.open, id, 'a', undefined);
  await detach(ctx, volume.open, id, 'a', undefined);
  t.strictSame(volume.steps, ['write a', 'write ']);
});

t.test('a client that still holds the volume is fenced before its node loses it', async (t) => {
  const volume = new FakeVolume();
  await attach(ctx, volume.open, id, to('a'));
  volume.stage('a', '1');
  await detach(ctx, volume.open, id, 'a', undefined);
  t.strictSame(volume.steps, ['write a', 'write a', 'fence 1', 'write ']);
  t.strictSame(fencedAddresses(volume.record, 'a'), ['1']);
  t.strictSame(await attach(ctx, volume.open, id, to('b')), { fencedClients: [] }, 'another node is not concerned');
});

t.test(
  'the returning node is told of its fenced client until it has named another one; then the fence is lifted',
  async (t) => {
    const volume = new FakeVolume();
    await attach(ctx, volume.open, id, to('a'));
    volume.stage('a', '1');
    await detach(ctx, volume.open, id, 'a', undefined);
    t.strictSame(await attach(ctx, volume.open, id, to('a')), { fencedClients: ['1'] });
    t.ok(volume.blocklist.has('1'));
    volume.stage('a', '2');
    t.strictSame(await attach(ctx, volume.open, id, to('a')), { fencedClients: [] });
    t.notOk(volume.blocklist.has('1'));
    t.strictSame(volume.record.fenced, []);
  },
);

t.test('a fence that may not be lifted holds nothing up', async (t) => {
  const volume = new FakeVolume();
  await attach(ctx, volume.open, id, to('a'));
  volume.stage('a', '1');
  await detach(ctx, volume.open, id, 'a', undefined);
  volume.stage('a', '2');
  volume.failAt = 'lift';
  t.strictSame(await attach(ctx, volume.open, id, to('a')), { fencedClients: [] });
});

for (const failAt of ['write a', 'fence', 'write ']) {
  t.test(`cut off before "${failAt}", the repeated detachment comes to the same end`, async (t) => {
    const volume = new FakeVolume();
    volume.record = withNode(noAttachments, id, 'a', { capability, readOnly: false });
    volume.stage('a', '1');
    volume.failAt = failAt;
    await t.rejects(detach(ctx, volume.open, id, 'a', undefined), { message: 'killed' });
    t.strictSame(attachedNodes(volume.record), ['a'], 'until the fence is there, the node has it');
    volume.failAt = 'nothing';
    await detach(ctx, volume.open, id, 'a', undefined);
    t.strictSame(attachedNodes(volume.record), []);
    t.ok(volume.blocklist.has('1'));
    t.strictSame(fencedAddresses(volume.record, 'a'), ['1'], 'it is told when it comes back');
  });
}

t.test('a fence that is refused leaves the volume where it is, and says what to do', async (t) => {
  const volume = new FakeVolume();
  await attach(ctx, volume.open, id, to('a'));
  volume.stage('a', '1');
  const refusing: OpenAttachments<VolumeId> = async (...args) => {
    const place = await volume.open(...args);
    const refusal = new DriverError('PERMISSION_DENIED', "client.k lacks the mon capability 'profile rbd'");
    return place && { ...place, fence: async () => Promise.reject(refusal) };
  };
  await t.rejects(detach(ctx, refusing, id, 'a', undefined), {
    code: 'PERMISSION_DENIED',
    message: /node "a" has not let go of volume rbd:a:p::i.*lacks the mon capability.*unstage the volume there/,
  });
  await t.rejects(attach(ctx, volume.open, id, to('b')), { code: 'FAILED_PRECONDITION' });
});

t.test('without a node, all of them are detached, and fenced where it has to be', async (t) => {
  const volume = new FakeVolume();
  const reader = { mode: 'MULTI_NODE_READER_ONLY', access: { type: 'block' } } as const;
  for (const node of ['a', 'b']) await attach(ctx, volume.open, id, { ...to(node), capability: reader });
  volume.stage('b', '2');
  volume.stage('never attached', '3');
  await detach(ctx, volume.open, id, undefined, undefined);
  t.strictSame(attachedNodes(volume.record), []);
  t.strictSame([...volume.blocklist].sort(), ['2', '3']);
});

t.test('a node that names its client while it is being detached is seen, and fenced', async (t) => {
  const volume = new FakeVolume();
  await attach(ctx, volume.open, id, to('a'));
  const meeting: OpenAttachments<VolumeId> = async (...args) => {
    const place = await volume.open(...args);
    return (
      place && {
        ...place,
        replace: async (next) => {
          if (attachedNodes(next).length === 0 && volume.named.size === 0) volume.stage('a', '1');
          return place.replace(next);
        },
      }
    );
  };
  await detach(ctx, meeting, id, 'a', undefined);
  t.ok(volume.blocklist.has('1'));
  t.strictSame(fencedAddresses(volume.record, 'a'), ['1']);
});

t.test('whoever is overtaken looks again; always overtaken is ABORTED', async (t) => {
  const volume = new FakeVolume();
  volume.races = 3;
  await attach(ctx, volume.open, id, to('a'));
  t.strictSame(attachedNodes(volume.record), ['a']);
  volume.races = 1_000;
  await t.rejects(detach(ctx, volume.open, id, 'a', undefined), { code: 'ABORTED' });
});

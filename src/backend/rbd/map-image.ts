import { errno, isCephError } from '../../ceph/ceph-error.js';
import type { CephPool, ImageHeader } from '../../ceph/client.js';
import type { Clusters } from '../../ceph/clusters.js';
import { isMultiNode, isReaderOnly } from '../../domain/capability.js';
import { DriverError } from '../../domain/errors.js';
import type { RbdVolumeId } from '../../domain/volume-id.js';
import type { CallContext } from '../../platform/call-context.js';
import { stageObjection } from '../attachment-record.js';
import type { StageInput } from '../backend.js';
import { chooseMapper } from './choose-mapper.js';
import { hostOf } from './client-address.js';
import { luksMark } from './encryption.js';
import { attachmentsIn } from './image-attachments.js';
import { clientKey, watchingClients } from './image-clients.js';
import { encryptedContent, encryptionOf, isEncrypted } from './image-encryption.js';
import type { ImagePools, OpenedPool } from './image-pools.js';
import { type Mapper, type Mapping, optionsFor } from './mapper.js';
import { limitKeys, limitsInForce } from './mutable-parameters.js';
import { imageSpec } from './rbd-program.js';
import { attachedKey, encryptedKey, formattedKey } from './metadata-keys.js';
import { forgetClients, isFenced, nameClient, nameClientAgain } from './name-client.js';

export interface MapImageDependencies {
  readonly pools: ImagePools;
  readonly mappers: readonly Mapper[];
  readonly clusters: Clusters;
  readonly nodeId: string;
}

/** A mapped image with what staging it needs to know. */
export interface StageTarget {
  readonly device: string;
  /** This call has mapped it, so this call unmaps it when it fails. */
  readonly mappedNow: boolean;
  /** The file system that we have made on it once, when it was blank. */
  readonly formattedAs: string | undefined;
  /** @throws DriverError FAILED_PRECONDITION when the image was formatted before and only looks blank now. */
  mayFormat(): boolean;
  remember(key: string, value: string): Promise<void>;
}

/**
 * Maps the image on this node, once: an existing mapping is used again, unless its client was fenced. Which client it is, is then written
 * on the image.
 * @throws DriverError NOT_FOUND (no such image), FAILED_PRECONDITION (in use or attached elsewhere, no mapper fits).
 */
export async function mapImage(
  ctx: CallContext,
  deps: MapImageDependencies,
  input: StageInput<RbdVolumeId>,
): Promise<StageTarget> {
  const { id, capability } = input;
  const opened = await deps.pools.open(ctx, id, input.credentials);
  const header = await findImage(ctx, opened.pool, input, deps.nodeId);
  refuseUnattached(header, input, deps.nodeId);
  const readOnly = isReaderOnly(capability.mode) || input.attached.readOnly;
  const image = { id, header, pool: opened.pool, nodeId: deps.nodeId };
  const encrypted = isEncrypted(header, input);
  const target = (mapping: Mapping, mappedNow: boolean): StageTarget => ({
    device: mapping.device,
    mappedNow,
    formattedAs: header.metadata.get(formattedKey),
    mayFormat: () => mayFormat(header, input, encrypted),
    remember: async (key, value) => {
      await opened.pool.images.setMetadata(ctx, header.id, new Map([[key, value]]));
    },
  });

  const existing = await findMapping(deps.mappers, id, header.id);
  if (existing !== undefined) {
    const { mapping } = existing;
    const fits = mapping.readOnly === readOnly && (mapping.isEncrypted ?? false) === encrypted;
    if (fits && !isFenced(image, input)) {
      if (!readOnly) await nameClientAgain(ctx, image, opened.connection);
      return target(mapping, false);
    }
    // Left by a stage that was cut off, or by one whose client was fenced; one that is in use refuses to be unmapped.
    await existing.mapper.unmap(ctx, id, []);
  }
  const before = await watchingClients(ctx, opened.pool, id, header.id);
  if (!isMultiNode(capability.mode)) refuseOtherNodes(before, opened, input);
  const encryption = encrypted ? encryptionOf(ctx, opened.pool, header, input) : undefined;
  const content = encrypted ? await encryptedContent(ctx, opened.pool, header) : 'plain';
  const mapper = await chooseMapper(ctx, deps.mappers, input.context.mounter ?? 'auto', header.features, content);
  if (mapper.kind === 'krbd') await warnOfLimits(ctx, opened.pool, header.id, input);
  const { access, connection } = opened;
  const mapping = await mapper.map(ctx, {
    id,
    readOnly,
    monitors: connection.monitors,
    user: access.user,
    key: access.key,
    keyring: access.key === undefined ? connection.keyring : undefined,
    features: header.features,
    options: [
      ...optionsFor(mapper.kind, deps.clusters.find(id.clusterId)?.mapOptions),
      ...optionsFor(mapper.kind, input.context.mapOptions),
    ],
    encryption,
  });
  try {
    // Before it is mounted: a stage that is complete is not looked at again.
    if (!readOnly) {
      if (mapping.begunBefore === true) await nameClientAgain(ctx, image, connection);
      else await nameClient(ctx, image, before);
      // Again: a detachment that came in between has seen no client, or sees this one now.
      refuseUnattached(await opened.pool.images.headerById(ctx, header.id, [attachedKey]), input, deps.nodeId);
    } else if (isFenced(image, input)) await forgetClients(ctx, image);
  } catch (error) {
    await mapper.unmap(ctx, id, []);
    throw error;
  }
  return target(mapping, true);
}

async function findImage(
  ctx: CallContext,
  pool: CephPool,
  input: StageInput<RbdVolumeId>,
  nodeId: string,
): Promise<ImageHeader> {
  const { id } = input;
  try {
    return await pool.images.header(ctx, id.image, [formattedKey, encryptedKey, attachedKey, clientKey(nodeId)]);
  } catch (error) {
    if (!isCephError(error, errno.ENOENT)) throw error;
    const where = id.namespace === '' ? `pool "${id.pool}"` : `namespace "${id.namespace}" of pool "${id.pool}"`;
    throw new DriverError(
      'NOT_FOUND',
      `image "${id.image}" is not in ${where} of cluster "${id.clusterId}": create it (rbd create), or correct the volume id in the PersistentVolume`,
      { cause: error },
    );
  }
}

/** The kernel's client keeps none of librbd's limits; nothing else would tell why they have no effect. */
async function warnOfLimits(
  ctx: CallContext,
  pool: CephPool,
  imageId: string,
  { id }: StageInput<RbdVolumeId>,
): Promise<void> {
  const limits = limitsInForce((await pool.images.headerById(ctx, imageId, limitKeys)).metadata);
  if (limits.length === 0) return;
  ctx.log.warn(
    { image: imageSpec(id), limits },
    'the volume has QoS limits, which krbd ignores: set mounter to nbd or userspace in its StorageClass to have them kept',
  );
}

function refuseUnattached(header: ImageHeader, { id, attached }: StageInput<RbdVolumeId>, nodeId: string): void {
  const objection = stageObjection(attachmentsIn(header, id.image), id, nodeId, attached.required);
  if (objection !== undefined) throw new DriverError('FAILED_PRECONDITION', objection);
}

/** Not one that shows an image of the same name: another cluster's, or one that was removed while it was mapped. It is left as it is. */
async function findMapping(
  mappers: readonly Mapper[],
  id: RbdVolumeId,
  imageId: string,
): Promise<{ mapper: Mapper; mapping: Mapping } | undefined> {
  for (const mapper of mappers) {
    const mapping = (await mapper.find(id)).find((one) => (one.imageId ?? imageId) === imageId);
    if (mapping !== undefined) return { mapper, mapping };
  }
  return undefined;
}

/** A volume for one node that a client on another node has open would be written by both. */
function refuseOtherNodes(
  watching: readonly string[],
  { connection }: OpenedPool,
  input: StageInput<RbdVolumeId>,
): void {
  const own = hostOf(connection.address);
  const foreign = watching.map(hostOf).filter((host) => host !== own);
  if (foreign.length === 0) return;
  throw new DriverError(
    'FAILED_PRECONDITION',
    `image ${imageSpec(input.id)} is open on the node at ${[...new Set(foreign.map(hostOf))].join(', ')} and access mode ${input.capability.mode} allows one node: unstage it there first; a node that was killed is forgotten after 30 s`,
  );
}

function mayFormat(header: ImageHeader, input: StageInput<RbdVolumeId>, encrypted: boolean): boolean {
  const before = header.metadata.get(formattedKey);
  if (before === undefined || (encrypted && before === luksMark)) return true;
  throw new DriverError(
    'FAILED_PRECONDITION',
    `image ${imageSpec(input.id)} was formatted ${before} by Cuttle before and shows no file system now: it is not formatted again; ` +
      `look at it (rbd device map, fsck), restore it, or allow a new format with: rbd image-meta remove ${imageSpec(input.id)} ${formattedKey}`,
  );
}

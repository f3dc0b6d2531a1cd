import type { ControllerService } from '../controller/controller-service.js';
import { attachmentHandlers } from './attachment-handlers.js';
import { csi } from './gen/csi.js';
import { google as wrappers } from './gen/google/protobuf/wrappers.js';
import type { CallContext } from '../platform/call-context.js';
import type { RpcHandler } from './rpc.js';
import { controllerHealthHandlers } from './health-handlers.js';
import { snapshotHandlers } from './snapshot-handlers.js';
import {
  readCreateVolume,
  readDeleteVolume,
  readExpandVolume,
  readGetCapacity,
  readListVolumes,
  readModifyVolume,
  readValidate,
} from './validate/controller.js';
import { volumeMessage } from './volume-message.js';

const { Type } = csi.v1.ControllerServiceCapability.RPC;

/** What the driver can do today; csi-sanity tests each of them. */
const capabilities = [
  Type.CREATE_DELETE_VOLUME,
  Type.PUBLISH_UNPUBLISH_VOLUME,
  Type.PUBLISH_READONLY,
  Type.LIST_VOLUMES,
  Type.LIST_VOLUMES_PUBLISHED_NODES,
  Type.GET_VOLUME,
  Type.GET_CAPACITY,
  Type.EXPAND_VOLUME,
  Type.MODIFY_VOLUME,
  Type.CREATE_DELETE_SNAPSHOT,
  Type.LIST_SNAPSHOTS,
  Type.GET_SNAPSHOT,
  Type.CLONE_VOLUME,
  Type.SINGLE_NODE_MULTI_WRITER,
  Type.GET_VOLUME_HEALTH,
  Type.LIST_VOLUME_HEALTH,
];

/** Messages to domain inputs and back; nothing else happens here. */
export function controllerHandlers(service: ControllerService): Record<string, RpcHandler> {
  return {
    ...snapshotHandlers(service),
    ...attachmentHandlers(service),
    ...controllerHealthHandlers(service),

    CreateVolume: async (ctx, request) =>
      new csi.v1.CreateVolumeResponse({
        volume: await createVolume(service, ctx, request as csi.v1.CreateVolumeRequest),
      }),

    DeleteVolume: async (ctx, request) => {
      await service.deleteVolume(ctx, readDeleteVolume(request as csi.v1.DeleteVolumeRequest));
      return new csi.v1.DeleteVolumeResponse();
    },

    ControllerExpandVolume: async (ctx, request) => {
      const grown = await service.expandVolume(ctx, readExpandVolume(request as csi.v1.ControllerExpandVolumeRequest));
      return new csi.v1.ControllerExpandVolumeResponse({
        capacity_bytes: grown.sizeBytes.toString(),
        node_expansion_required: grown.needsNode,
      });
    },

    ControllerModifyVolume: async (ctx, request) => {
      await service.modifyVolume(ctx, readModifyVolume(request as csi.v1.ControllerModifyVolumeRequest));
      return new csi.v1.ControllerModifyVolumeResponse();
    },

    ValidateVolumeCapabilities: async (ctx, request) => {
      const message = request as csi.v1.ValidateVolumeCapabilitiesRequest;
      const objection = await service.validateVolumeCapabilities(ctx, readValidate(message));
      if (objection !== undefined) return new csi.v1.ValidateVolumeCapabilitiesResponse({ message: objection });
      return new csi.v1.ValidateVolumeCapabilitiesResponse({
        confirmed: new csi.v1.ValidateVolumeCapabilitiesResponse.Confirmed({
          volume_context: message.volume_context,
          volume_capabilities: message.volume_capabilities,
          parameters: message.parameters,
        }),
      });
    },

    GetCapacity: async (ctx, request) => {
      const capacity = await service.getCapacity(ctx, readGetCapacity(request as csi.v1.GetCapacityRequest));
      return new csi.v1.GetCapacityResponse({
        available_capacity: capacity.availableBytes.toString(),
        maximum_volume_size: new wrappers.protobuf.Int64Value({ value: capacity.maximumVolumeBytes.toString() }),
        minimum_volume_size: new wrappers.protobuf.Int64Value({ value: capacity.minimumVolumeBytes.toString() }),
      });
    },

    ListVolumes: async (ctx, request) => {
      const page = await service.listVolumes(ctx, readListVolumes(request as csi.v1.ListVolumesRequest));
      return new csi.v1.ListVolumesResponse({
        entries: page.volumes.map(
          (volume) =>
            new csi.v1.ListVolumesResponse.Entry({
              volume: volumeMessage(volume),
              status: new csi.v1.ListVolumesResponse.VolumeStatus({ published_node_ids: [...volume.nodes] }),
            }),
        ),
        next_token: page.next ?? '',
      });
    },

    ControllerGetCapabilities: async () =>
      Promise.resolve(
        new csi.v1.ControllerGetCapabilitiesResponse({
          capabilities: capabilities.map(
            (type) =>
              new csi.v1.ControllerServiceCapability({ rpc: new csi.v1.ControllerServiceCapability.RPC({ type }) }),
          ),
        }),
      ),
  };
}

/** A volume that was made of something says so by the request's own words (CSI spec, Volume.content_source). */
async function createVolume(
  service: ControllerService,
  ctx: CallContext,
  request: csi.v1.CreateVolumeRequest,
): Promise<csi.v1.Volume> {
  const message = volumeMessage(await service.createVolume(ctx, readCreateVolume(request)));
  if (request.volume_content_source !== undefined) message.content_source = request.volume_content_source;
  return message;
}

import type { ControllerService } from '../controller/controller-service.js';
import type { StorageTrouble, VolumeTrouble } from '../domain/health.js';
import { formatVolumeId, type VolumeId } from '../domain/volume-id.js';
import type { NodeService } from '../node/node-service.js';
import { csi } from './gen/csi.js';
import type { RpcHandler } from './rpc.js';
import { readCredentials } from './validate/credentials.js';
import { readGetVolumeHealth, readListVolumeHealth, readNodeVolumeHealth } from './validate/health.js';

/** The Controller's RPCs of health: messages to domain inputs and back. */
export function controllerHealthHandlers(service: ControllerService): Record<string, RpcHandler> {
  return {
    ControllerGetVolumeHealth: async (ctx, request) => {
      const input = readGetVolumeHealth(request as csi.v1.ControllerGetVolumeHealthRequest);
      return new csi.v1.ControllerGetVolumeHealthResponse({
        volume_health: healthMessage(await service.getVolumeHealth(ctx, input)),
      });
    },

    ControllerListVolumeHealth: async (ctx, request) => {
      const input = readListVolumeHealth(request as csi.v1.ControllerListVolumeHealthRequest);
      const page = await service.listVolumeHealth(ctx, input);
      return new csi.v1.ControllerListVolumeHealthResponse({
        entries: page.volumes.map(healthMessage),
        next_token: page.next ?? '',
      });
    },
  };
}

/** The Node's. */
export function nodeHealthHandlers(service: NodeService): Record<string, RpcHandler> {
  return {
    NodeGetVolumeHealth: async (ctx, request) => {
      const input = readNodeVolumeHealth(request as csi.v1.NodeGetVolumeHealthRequest);
      return new csi.v1.NodeGetVolumeHealthResponse({
        volume_health: healthMessage(await service.getVolumeHealth(ctx, input)),
      });
    },

    NodeGetStorageHealth: async (ctx, request) => {
      const { secrets } = request as csi.v1.NodeGetStorageHealthRequest;
      const troubles = await service.getStorageHealth(ctx, readCredentials(secrets));
      return new csi.v1.NodeGetStorageHealthResponse({ backend_health: troubles.map(storageMessage) });
    },
  };
}

function healthMessage(health: { readonly id: VolumeId; readonly troubles: readonly VolumeTrouble[] }) {
  return new csi.v1.VolumeHealth({
    volume_id: formatVolumeId(health.id),
    health_statuses: health.troubles.map(
      ({ status, reason, message }) =>
        new csi.v1.VolumeHealth.VolumeHealthEntry({ status: csi.v1.VolumeHealthErrorType[status], reason, message }),
    ),
  });
}

function storageMessage({ status, reason, message }: StorageTrouble) {
  return new csi.v1.NodeGetStorageHealthResponse.StorageBackendHealth({
    status: csi.v1.StorageHealthErrorType[status],
    reason,
    message,
  });
}

import type { ControllerService } from '../controller/controller-service.js';
import { csi } from './gen/csi.js';
import { publishContext } from './publish-context.js';
import type { RpcHandler } from './rpc.js';
import { readGetVolume, readPublishVolume, readUnpublishVolume } from './validate/attachment.js';
import { volumeMessage } from './volume-message.js';

/** The Controller's RPCs of attachment: messages to domain inputs and back. */
export function attachmentHandlers(service: ControllerService): Record<string, RpcHandler> {
  return {
    ControllerPublishVolume: async (ctx, request) => {
      const input = readPublishVolume(request as csi.v1.ControllerPublishVolumeRequest);
      const attached = await service.publishVolume(ctx, input);
      return new csi.v1.ControllerPublishVolumeResponse({ publish_context: publishContext(attached, input.readOnly) });
    },

    ControllerUnpublishVolume: async (ctx, request) => {
      await service.unpublishVolume(ctx, readUnpublishVolume(request as csi.v1.ControllerUnpublishVolumeRequest));
      return new csi.v1.ControllerUnpublishVolumeResponse();
    },

    ControllerGetVolume: async (ctx, request) => {
      const volume = await service.getVolume(ctx, readGetVolume(request as csi.v1.ControllerGetVolumeRequest));
      return new csi.v1.ControllerGetVolumeResponse({
        volume: volumeMessage(volume),
        status: new csi.v1.ControllerGetVolumeResponse.VolumeStatus({ published_node_ids: [...volume.nodes] }),
      });
    },
  };
}

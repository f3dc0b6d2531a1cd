import type { VolumeUsage } from '../node/get-volume-stats.js';
import type { NodeService } from '../node/node-service.js';
import { csi } from './gen/csi.js';
import { nodeHealthHandlers } from './health-handlers.js';
import type { RpcHandler } from './rpc.js';
import { topologyMessage } from './topology-message.js';
import { readExpand, readPublish, readStage, readStats, readUnpublish, readUnstage } from './validate/node.js';

const { Type } = csi.v1.NodeServiceCapability.RPC;

const capabilities = [
  Type.STAGE_UNSTAGE_VOLUME,
  Type.GET_VOLUME_STATS,
  Type.EXPAND_VOLUME,
  Type.SINGLE_NODE_MULTI_WRITER,
  Type.GET_VOLUME_HEALTH,
  Type.GET_STORAGE_HEALTH,
];

/** Messages to domain inputs and back; nothing else happens here. */
export function nodeHandlers(service: NodeService, nodeId: string): Record<string, RpcHandler> {
  return {
    ...nodeHealthHandlers(service),

    NodeStageVolume: async (ctx, request) => {
      await service.stageVolume(ctx, readStage(request as csi.v1.NodeStageVolumeRequest));
      return new csi.v1.NodeStageVolumeResponse();
    },

    NodeUnstageVolume: async (ctx, request) => {
      await service.unstageVolume(ctx, readUnstage(request as csi.v1.NodeUnstageVolumeRequest));
      return new csi.v1.NodeUnstageVolumeResponse();
    },

    NodePublishVolume: async (ctx, request) => {
      await service.publishVolume(ctx, readPublish(request as csi.v1.NodePublishVolumeRequest));
      return new csi.v1.NodePublishVolumeResponse();
    },

    NodeUnpublishVolume: async (ctx, request) => {
      await service.unpublishVolume(ctx, readUnpublish(request as csi.v1.NodeUnpublishVolumeRequest));
      return new csi.v1.NodeUnpublishVolumeResponse();
    },

    NodeGetVolumeStats: async (ctx, request) => {
      const usage = await service.getVolumeStats(ctx, readStats(request as csi.v1.NodeGetVolumeStatsRequest));
      return new csi.v1.NodeGetVolumeStatsResponse({ usage: usage.map(usageMessage) });
    },

    NodeExpandVolume: async (ctx, request) => {
      const sizeBytes = await service.expandVolume(ctx, readExpand(request as csi.v1.NodeExpandVolumeRequest));
      return new csi.v1.NodeExpandVolumeResponse(
        sizeBytes === undefined ? {} : { capacity_bytes: sizeBytes.toString() },
      );
    },

    NodeGetCapabilities: async () =>
      Promise.resolve(
        new csi.v1.NodeGetCapabilitiesResponse({
          capabilities: capabilities.map(
            (type) => new csi.v1.NodeServiceCapability({ rpc: new csi.v1.NodeServiceCapability.RPC({ type }) }),
          ),
        }),
      ),

    NodeGetInfo: async (ctx) => {
      const topology = await service.getTopology(ctx);
      return new csi.v1.NodeGetInfoResponse({
        node_id: nodeId,
        ...(topology === undefined ? {} : { accessible_topology: topologyMessage(topology) }),
      });
    },
  };
}

function usageMessage(usage: VolumeUsage): csi.v1.VolumeUsage {
  return new csi.v1.VolumeUsage({
    unit: csi.v1.VolumeUsage.Unit[usage.unit],
    total: usage.total.toString(),
    used: usage.used.toString(),
    available: usage.available.toString(),
  });
}

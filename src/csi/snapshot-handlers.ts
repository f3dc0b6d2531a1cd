import type { Snapshot } from '../backend/backend.js';
import type { ControllerService } from '../controller/controller-service.js';
import { formatSnapshotId } from '../domain/snapshot-id.js';
import { formatVolumeId } from '../domain/volume-id.js';
import { csi } from './gen/csi.js';
import { google } from './gen/google/protobuf/timestamp.js';
import type { RpcHandler } from './rpc.js';
import { reachMessage } from './topology-message.js';
import { readCreateSnapshot, readListSnapshots, readSnapshot } from './validate/snapshots.js';

/** The Controller's RPCs of snapshots: messages to domain inputs and back. */
export function snapshotHandlers(service: ControllerService): Record<string, RpcHandler> {
  return {
    CreateSnapshot: async (ctx, request) =>
      new csi.v1.CreateSnapshotResponse({
        snapshot: snapshotMessage(
          await service.createSnapshot(ctx, readCreateSnapshot(request as csi.v1.CreateSnapshotRequest)),
        ),
      }),

    DeleteSnapshot: async (ctx, request) => {
      await service.deleteSnapshot(ctx, readSnapshot(request as csi.v1.DeleteSnapshotRequest));
      return new csi.v1.DeleteSnapshotResponse();
    },

    GetSnapshot: async (ctx, request) =>
      new csi.v1.GetSnapshotResponse({
        snapshot: snapshotMessage(await service.getSnapshot(ctx, readSnapshot(request as csi.v1.GetSnapshotRequest))),
      }),

    ListSnapshots: async (ctx, request) => {
      const page = await service.listSnapshots(ctx, readListSnapshots(request as csi.v1.ListSnapshotsRequest));
      return new csi.v1.ListSnapshotsResponse({
        entries: page.snapshots.map(
          (snapshot) => new csi.v1.ListSnapshotsResponse.Entry({ snapshot: snapshotMessage(snapshot) }),
        ),
        next_token: page.next ?? '',
      });
    },
  };
}

function snapshotMessage({ id, sizeBytes, createdMs, reach }: Snapshot): csi.v1.Snapshot {
  const seconds = Math.floor(createdMs / 1000);
  return new csi.v1.Snapshot({
    snapshot_id: formatSnapshotId(id),
    source_volume_id: formatVolumeId(id.source),
    size_bytes: sizeBytes.toString(),
    creation_time: new google.protobuf.Timestamp({
      seconds: seconds.toString(),
      nanos: Math.round((createdMs - seconds * 1000) * 1e6),
    }),
    ready_to_use: true,
    accessible_topology: reachMessage(reach),
  });
}

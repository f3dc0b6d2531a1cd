import { Metadata } from '@grpc/grpc-js';
import { csi } from '../../src/csi/gen/csi.js';
import { call, type Driver } from '../harness/driver.js';
import type { Page } from './answers.js';

export interface Trouble {
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

const defaultDeadlineMs = 60_000;

/** CSI's RPCs of health as promises. */
export class HealthRpc {
  readonly #driver: () => Driver;
  readonly #deadlineMs: number;

  constructor(driver: () => Driver, deadlineMs = defaultDeadlineMs) {
    this.#driver = driver;
    this.#deadlineMs = deadlineMs;
  }

  async volume(volumeId: string, secrets: Readonly<Record<string, string>> = {}): Promise<Trouble[]> {
    const request = new csi.v1.ControllerGetVolumeHealthRequest({
      volume_id: volumeId,
      secrets: new Map(Object.entries(secrets)),
    });
    const reply = await call<csi.v1.ControllerGetVolumeHealthResponse>((done) =>
      this.#driver().controller.ControllerGetVolumeHealth(request, new Metadata(), this.#soon(), done),
    );
    return troublesOf(volumeId, reply.volume_health);
  }

  async list(max = 0, token = ''): Promise<Page> {
    const request = new csi.v1.ControllerListVolumeHealthRequest({ max_entries: max, starting_token: token });
    const reply = await call<csi.v1.ControllerListVolumeHealthResponse>((done) =>
      this.#driver().controller.ControllerListVolumeHealth(request, new Metadata(), this.#soon(), done),
    );
    return { ids: reply.entries.map((entry) => entry.volume_id), next: reply.next_token };
  }

  /** Of the volume on the node; without paths wherever it is mounted there. */
  async onNode(volumeId: string, paths: { targetPath?: string; stagingPath?: string } = {}): Promise<Trouble[]> {
    const request = new csi.v1.NodeGetVolumeHealthRequest({
      volume_id: volumeId,
      volume_publish_path: paths.targetPath ?? '',
      staging_target_path: paths.stagingPath ?? '',
    });
    const reply = await call<csi.v1.NodeGetVolumeHealthResponse>((done) =>
      this.#driver().node.NodeGetVolumeHealth(request, new Metadata(), this.#soon(), done),
    );
    return troublesOf(volumeId, reply.volume_health);
  }

  async storage(secrets: Readonly<Record<string, string>> = {}): Promise<Trouble[]> {
    const request = new csi.v1.NodeGetStorageHealthRequest({ secrets: new Map(Object.entries(secrets)) });
    const reply = await call<csi.v1.NodeGetStorageHealthResponse>((done) =>
      this.#driver().node.NodeGetStorageHealth(request, new Metadata(), this.#soon(), done),
    );
    return reply.backend_health.map(({ status, reason, message }) => ({
      status: csi.v1.StorageHealthErrorType[status],
      reason,
      message,
    }));
  }

  #soon(): { deadline: number } {
    return { deadline: Date.now() + this.#deadlineMs };
  }
}

function troublesOf(volumeId: string, health: csi.v1.VolumeHealth | undefined): Trouble[] {
  if (health?.volume_id !== volumeId) throw new Error(`the answer is of volume "${health?.volume_id ?? ''}"`);
  return health.health_statuses.map(({ status, reason, message }) => ({
    status: csi.v1.VolumeHealthErrorType[status],
    reason,
    message,
  }));
}

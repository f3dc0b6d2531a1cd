import { csi } from './gen/csi.js';
import { google as wrappers } from './gen/google/protobuf/wrappers.js';
import type { RpcHandler } from './rpc.js';

export interface IdentityOptions {
  readonly driverName: string;
  readonly version: string;
  /** Cheap, and true as soon as RPCs are served; a cluster that is down does not make the driver unready. */
  readonly ready: () => boolean;
  /** Whether volumes are not reachable from everywhere: orchestrators then place them and pods by topology. */
  readonly hasTopology: () => boolean;
}

const { Type } = csi.v1.PluginCapability.Service;
const constraints = [Type.VOLUME_ACCESSIBILITY_CONSTRAINTS, Type.SNAPSHOT_ACCESSIBILITY_CONSTRAINTS];

export function identityHandlers(options: IdentityOptions): Record<string, RpcHandler> {
  return {
    GetPluginInfo: async () =>
      Promise.resolve(new csi.v1.GetPluginInfoResponse({ name: options.driverName, vendor_version: options.version })),
    GetPluginCapabilities: async () =>
      Promise.resolve(
        new csi.v1.GetPluginCapabilitiesResponse({
          // The plugin has a Controller service, also where this process runs its node half alone.
          capabilities: [
            service(Type.CONTROLLER_SERVICE),
            ...(options.hasTopology() ? constraints : []).map(service),
            new csi.v1.PluginCapability({
              volume_expansion: new csi.v1.PluginCapability.VolumeExpansion({
                type: csi.v1.PluginCapability.VolumeExpansion.Type.ONLINE,
              }),
            }),
          ],
        }),
      ),
    Probe: async () =>
      Promise.resolve(new csi.v1.ProbeResponse({ ready: new wrappers.protobuf.BoolValue({ value: options.ready() }) })),
  };
}

function service(type: csi.v1.PluginCapability.Service.Type): csi.v1.PluginCapability {
  return new csi.v1.PluginCapability({ service: new csi.v1.PluginCapability.Service({ type }) });
}

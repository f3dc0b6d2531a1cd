import { podImage } from './cluster/image.js';
import { at, type Kind, type KubeObject, textAt } from './cluster/kinds.js';
import type { Api } from './cluster/api.js';
import { Hopeless, until } from './cluster/until.js';
import { type AttributeClassName, snapshotClass, type StorageClassName } from './chart-values.js';
import { head } from './objects.js';

export interface ClaimOptions {
  readonly size?: string;
  readonly shared?: boolean;
  readonly block?: boolean;
  readonly attributes?: AttributeClassName;
  readonly from?: { readonly kind: 'VolumeSnapshot' | 'PersistentVolumeClaim'; readonly name: string };
}

/** Where a pod's script finds its volume. */
export const volumePath = '/data';
/** The same for a raw block volume. */
export const devicePath = '/dev/volume';

const messagePath = '/dev/termination-log';
const waitMs = 180_000;

/** What people who use the cluster do: claims, pods, snapshots. Every wait ends, and says what it has waited for. */
export class Workload {
  readonly #api: Api;
  readonly #signal: AbortSignal;

  constructor(api: Api, signal: AbortSignal) {
    this.#api = api;
    this.#signal = signal;
  }

  /** Makes a claim and waits until it is bound. @returns the PersistentVolume. */
  async claim(name: string, storageClassName: StorageClassName, options: ClaimOptions = {}): Promise<KubeObject> {
    await this.askFor(name, storageClassName, options);
    return await this.bound(name);
  }

  /** Makes a claim. */
  async askFor(name: string, storageClassName: StorageClassName, options: ClaimOptions = {}): Promise<void> {
    const { from } = options;
    const group = from?.kind === 'VolumeSnapshot' ? { apiGroup: 'snapshot.storage.k8s.io' } : {};
    await this.#api.create({
      ...head('v1', 'PersistentVolumeClaim', name),
      spec: {
        storageClassName,
        accessModes: [options.shared === true ? 'ReadWriteMany' : 'ReadWriteOnce'],
        volumeMode: options.block === true ? 'Block' : 'Filesystem',
        resources: { requests: { storage: options.size ?? '1Gi' } },
        ...(options.attributes === undefined ? {} : { volumeAttributesClassName: options.attributes }),
        ...(from === undefined ? {} : { dataSource: { ...from, ...group } }),
      },
    });
  }

  async bound(name: string): Promise<KubeObject> {
    const claim = await this.#until(`bound claim ${name}`, async () => {
      const found = await this.#api.get('PersistentVolumeClaim', name);
      return textAt(found, 'status', 'phase') === 'Bound' ? found : undefined;
    });
    return await this.#api.get('PersistentVolume', textAt(claim, 'spec', 'volumeName'));
  }

  /** Runs a script in a pod to its end and takes the pod away. @returns what the script has written to "$said". */
  async run(name: string, claim: string, script: string, options: { readonly block?: boolean } = {}): Promise<string> {
    await this.startPod(name, claim, script, options);
    const said = await this.finished(name);
    await this.remove('Pod', name);
    return said;
  }

  async startPod(name: string, claim: string, script: string, { block = false } = {}): Promise<void> {
    const volume = block
      ? { volumeDevices: [{ name: 'volume', devicePath }] }
      : { volumeMounts: [{ name: 'volume', mountPath: volumePath }] };
    await this.#api.create({
      ...head('v1', 'Pod', name),
      spec: {
        restartPolicy: 'Never',
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        terminationGracePeriodSeconds: 1,
        volumes: [{ name: 'volume', persistentVolumeClaim: { claimName: claim } }],
        containers: [
          {
            name: 'main',
            image: podImage,
            imagePullPolicy: 'Never',
            command: ['/bin/sh', '-ec', script],
            env: [{ name: 'said', value: messagePath }],
            terminationMessagePath: messagePath,
            ...volume,
          },
        ],
      },
    });
  }

  async running(name: string): Promise<void> {
    await this.#until(`running pod ${name}`, async () => {
      const phase = this.#phaseOf(await this.#api.get('Pod', name));
      return phase === 'Running' || phase === 'Succeeded' ? true : undefined;
    });
  }

  /** Waits until the pod's script has ended well. @returns what it has written to "$said". */
  async finished(name: string): Promise<string> {
    return await this.#until(`end of pod ${name}`, async () => {
      const pod = await this.#api.get('Pod', name);
      if (this.#phaseOf(pod) !== 'Succeeded') return undefined;
      return textAt(pod, 'status', 'containerStatuses', 0, 'state', 'terminated', 'message').trim();
    });
  }

  /** Takes a snapshot of a claim and waits until it can be used. */
  async snapshot(name: string, claim: string): Promise<void> {
    await this.#api.create({
      ...head('snapshot.storage.k8s.io/v1', 'VolumeSnapshot', name),
      spec: { volumeSnapshotClassName: snapshotClass, source: { persistentVolumeClaimName: claim } },
    });
    await this.#until(`snapshot ${name} that is ready`, async () => {
      const snapshot = await this.#api.get('VolumeSnapshot', name);
      return at(snapshot, 'status', 'readyToUse') === true ? true : undefined;
    });
  }

  /** Asks for more room. The claim shows it when the controller, and where needed the node, have done their parts. */
  async grow(name: string, size: string): Promise<void> {
    await this.#api.patch('PersistentVolumeClaim', name, { spec: { resources: { requests: { storage: size } } } });
  }

  async hasGrown(name: string, size: string): Promise<void> {
    await this.#until(`claim ${name} of ${size}`, async () => {
      const claim = await this.#api.get('PersistentVolumeClaim', name);
      return textAt(claim, 'status', 'capacity', 'storage') === size ? true : undefined;
    });
  }

  /** Gives a claim another VolumeAttributesClass and waits until it holds. */
  async modify(name: string, attributes: AttributeClassName): Promise<void> {
    await this.#api.patch('PersistentVolumeClaim', name, { spec: { volumeAttributesClassName: attributes } });
    await this.#until(`claim ${name} as ${attributes}`, async () => {
      const claim = await this.#api.get('PersistentVolumeClaim', name);
      return textAt(claim, 'status', 'currentVolumeAttributesClassName') === attributes ? true : undefined;
    });
  }

  /** Deletes an object and waits until it is gone, finalizers and all. */
  async remove(kind: Kind, name: string): Promise<void> {
    await this.#api.delete(kind, name);
    await this.gone(kind, name);
  }

  async gone(kind: Kind, name: string): Promise<void> {
    await this.#until(`end of ${kind} ${name}`, async () => {
      return (await this.#api.find(kind, name)) === undefined ? true : undefined;
    });
  }

  /** Names of all objects of a kind. */
  async names(kind: Kind): Promise<string[]> {
    return (await this.#api.list(kind)).map(({ metadata }) => metadata.name);
  }

  /** @throws when nobody but the pod itself could change that. */
  #phaseOf(pod: KubeObject): string {
    const phase = textAt(pod, 'status', 'phase');
    if (phase !== 'Failed') return phase;
    const ended = at(pod, 'status', 'containerStatuses', 0, 'state', 'terminated');
    throw new Hopeless(
      `pod ${pod.metadata.name} has failed: ${textAt(pod, 'status', 'message')} ${JSON.stringify(ended)}`,
    );
  }

  async #until<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
    return await until(what, ask, { withinMs: waitMs, signal: this.#signal });
  }
}

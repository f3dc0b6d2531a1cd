import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Daemon, TestCluster } from '../harness/cluster.js';
import { stopProcess } from '../harness/stop-process.js';

/** What the tests in the virtual machine may ask of the host, by name. */
export type HostAction = 'freeze' | 'thaw' | 'reset';

export interface HostControl {
  readonly port: number;
  close(): Promise<void>;
}

const daemons: readonly Daemon[] = ['mon', 'mgr', 'osd', 'mds'];

/** Listens on loopback, which the guest reaches under QEMU's name for it; an answer other than 204 says in words what went wrong. */
export async function serveHost(actions: Readonly<Record<HostAction, () => Promise<void>>>): Promise<HostControl> {
  const server = createServer((request, response) => {
    void answer(actions, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(
  actions: Readonly<Record<HostAction, () => Promise<void>>>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const action = Object.entries(actions).find(([name]) => request.method === 'POST' && request.url === `/${name}`)?.[1];
  try {
    if (action === undefined)
      throw new Error(`the host does not know ${String(request.method)} ${String(request.url)}`);
    await action();
    response.writeHead(204).end();
  } catch (error) {
    response.writeHead(500).end(error instanceof Error ? error.message : String(error));
  }
}

/** Every daemon of the cluster stops where it is: nothing answers any more, and nothing is lost. */
export async function freezeCluster(cluster: TestCluster): Promise<void> {
  for (const daemon of daemons) await stopProcess(await cluster.pidOf(daemon));
}

export async function thawCluster(cluster: TestCluster): Promise<void> {
  for (const daemon of daemons) process.kill(await cluster.pidOf(daemon), 'SIGCONT');
}

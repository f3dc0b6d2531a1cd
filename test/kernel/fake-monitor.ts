import { createServer, type Server } from 'node:net';

/*
 * A monitor that gets no further than Ceph's first messenger's handshake (Ceph documentation, "Messenger protocol v1"): it says which
 * features it asks of clients. What the kernel then logs are its own words.
 */

const banner = Buffer.from('ceph v027');
/** A banner is followed by the server's address and the client's as the server sees it; all zeros are "unknown". */
const addressBytes = 136;
/** The client's banner and address, then its connect message of 33 bytes. */
const clientBytes = banner.length + addressBytes + 33;
const tagFeatures = 12;

/** @returns listening at 127.0.0.1; its port. */
export async function monitorAskingFor(features: bigint): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => {
    let received = 0;
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      received += chunk.length;
      if (received === clientBytes) socket.end(refusal(features));
    });
    socket.write(Buffer.concat([banner, Buffer.alloc(2 * addressBytes)]));
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
  return { server, port };
}

/** ceph_msg_connect_reply: tag, features, global_seq, connect_seq, protocol_version, authorizer_len, flags. */
function refusal(features: bigint): Buffer {
  const reply = Buffer.alloc(26);
  reply.writeUInt8(tagFeatures, 0);
  reply.writeBigUInt64LE(features, 1);
  return reply;
}

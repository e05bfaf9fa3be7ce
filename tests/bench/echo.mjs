/** A bare WebSocket that sends back what it gets: short texts, one frame each. RFC 6455. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";

const MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const TEXT = 0x81;
const HEADER = 2;
const MASK = 4;

/** Its address, and how to end it. */
export async function startEcho() {
  const server = createServer();
  const sockets = new Set();
  server.on("upgrade", (request, socket) => {
    const key = request.headers["sec-websocket-key"] + MAGIC;
    const accept = createHash("sha1").update(key).digest("base64");
    socket.setNoDelay(true);
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    socket.on("data", (frame) => echo(socket, frame));
    socket.on("error", () => socket.destroy());
    sockets.add(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `ws://127.0.0.1:${server.address().port}`,
    stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function echo(socket, frame) {
  const length = frame[1] & 0x7f;
  // Whatever is not a short text ends the connection: a close frame does.
  if (frame[0] !== TEXT || length > 125 || frame.length !== HEADER + MASK + length) {
    socket.end();
    return;
  }
  const mask = frame.subarray(HEADER, HEADER + MASK);
  const answer = Buffer.alloc(HEADER + length);
  answer[0] = TEXT;
  answer[1] = length;
  for (let i = 0; i < length; i += 1)
    answer[HEADER + i] = frame[HEADER + MASK + i] ^ mask[i % MASK];
  socket.write(answer);
}

/**
 * The network between a browser and the server, with its faults: an answer that is lost after the server
 * has done its work, and a captive portal that answers everything with a sign-in page.
 */
import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  request as requestOf,
  type Server,
  type ServerResponse,
} from "node:http";

/** One push that went through to the server. */
export interface Push {
  readonly status: number;
  /** What the server answered. */
  readonly answer: string;
  /** True: the browser never got that answer. */
  readonly lost: boolean;
}

export class FaultyProxy {
  readonly origin: string;
  /** Every push that reached the server, in order. */
  readonly pushes: Push[] = [];
  readonly #server: Server;
  readonly #target: URL;
  #answersToLose = 0;
  #cutsPulls = false;
  #portal: string | undefined;
  #portalHits = 0;

  private constructor(server: Server, target: string, port: number) {
    this.#server = server;
    this.#target = new URL(target);
    this.origin = `http://127.0.0.1:${port}`;
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      this.#handle(request, response).catch(() => response.destroy());
    });
  }

  /** Listens on a free port and forwards to `target`. */
  static async before(target: string): Promise<FaultyProxy> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port to listen on");
    return new FaultyProxy(server, target, address.port);
  }

  url(path: string): string {
    return new URL(path, this.origin).href;
  }

  /** The next pushes reach the server and are stored; their answers never arrive. */
  loseAnswersToPushes(count: number): void {
    this.#answersToLose = count;
  }

  /** Pulls end without an answer, so that only the answer to a push can tell the browser what was stored. */
  cutPulls(cut: boolean): void {
    this.#cutsPulls = cut;
    if (cut) this.#server.closeAllConnections();
  }

  /** From now on every request gets this page, with status 200. */
  capture(html: string): void {
    this.#portal = html;
    this.#portalHits = 0;
    this.#server.closeAllConnections();
  }

  /** How many requests of the protocol the portal has answered. */
  get portalHits(): number {
    return this.#portalHits;
  }

  /** Lets everything through again. */
  release(): void {
    this.#portal = undefined;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#portal !== undefined) {
      if (request.url?.startsWith("/v1/")) this.#portalHits += 1;
      response.writeHead(200, { "content-type": "text/html" }).end(this.#portal);
      return;
    }
    if (this.#cutsPulls && request.method === "GET" && request.url?.includes("/commits?")) {
      response.destroy();
      return;
    }
    const isPush = request.method === "POST" && /\/commits$/.test(request.url ?? "");
    const lost = isPush && this.#answersToLose > 0;
    if (lost) this.#answersToLose -= 1;
    const { status, headers, body } = await this.#forward(request, response);
    if (isPush) this.pushes.push({ status, answer: body.toString(), lost });
    if (lost) {
      response.destroy();
      return;
    }
    response.writeHead(status, headers).end(body);
  }

  async #forward(request: IncomingMessage, response: ServerResponse) {
    const { hostname, port } = this.#target;
    const onward = requestOf({
      hostname,
      port,
      path: request.url,
      method: request.method,
      headers: request.headers,
    });
    // A long poll ends with the page that waits for it.
    response.on("close", () => onward.destroy());
    request.pipe(onward);
    const [answer] = (await once(onward, "response")) as [IncomingMessage];
    const { "transfer-encoding": _, ...headers } = answer.headers;
    return { status: answer.statusCode ?? 502, headers, body: await bytesOf(answer) };
  }
}

async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

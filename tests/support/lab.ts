/**
 * The lab: a blank page (`lab/index.html`) on which a test makes logs with any options, the package as it was
 * built, a server of the protocol behind the same origin that can be cut off, and a witness outside the browser.
 */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request as requestOf,
  type Server,
  type ServerResponse,
} from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import type { BrowserContext, Page } from "@playwright/test";
import { transformWithOxc } from "vite";

const TESTS = fileURLToPath(new URL("..", import.meta.url));
const PACKAGE = fileURLToPath(new URL("../../js/dist", import.meta.url));
const TYPES: { readonly [extension: string]: string } = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".ts": "text/javascript",
  ".wasm": "application/wasm",
};

/** A request of the protocol. */
export interface Call {
  readonly method: string;
  readonly url: string;
  readonly bytes: number;
  readonly headers: IncomingHttpHeaders;
}

/**
 * What stands before the server says to a call: nothing, for ever nothing, or something of its own. `lose`: the server does its
 * work, and the line is cut before the answer. `half`: the line is cut in the middle of what is sent.
 */
export type Answers = (
  call: Call,
) =>
  | undefined
  | "hang"
  | "lose"
  | "half"
  | { readonly status: number; readonly headers?: OutgoingHttpHeaders; readonly body?: string };

export class Lab {
  readonly origin: string;
  readonly #server: Server;
  readonly #target: URL | undefined;
  #isCut = false;
  #witness: (message: string) => void = () => undefined;
  #answers: Answers = () => undefined;
  /** Requests of the protocol that were not cut off, whoever answered them. */
  readonly calls: Call[] = [];
  /** What `/token` gives; without one it says that nobody is signed in. */
  token: string | undefined;

  private constructor(server: Server, port: number, target: string | undefined) {
    this.#server = server;
    this.#target = target === undefined ? undefined : new URL(target);
    this.origin = `http://127.0.0.1:${port}`;
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      this.#handle(request, response).catch(() => response.destroy());
    });
  }

  /** Listens on a free port; `/v1/` goes on to `target`. */
  static async before(target?: string): Promise<Lab> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port to listen on");
    return new Lab(server, address.port, target);
  }

  /** A new tab with the lab's page, its scripts loaded. */
  async open(context: BrowserContext): Promise<Page> {
    const page = await context.newPage();
    await this.goto(page);
    return page;
  }

  async goto(page: Page): Promise<void> {
    await page.goto(this.origin);
    await page.waitForFunction(() => window.lab !== undefined);
  }

  /** Hears what pages post to `/witness`, before they get an answer. */
  onWitness(witness: (message: string) => void): void {
    this.#witness = witness;
  }

  /** While it is cut off, the server cannot be reached; the pages can. */
  cut(isCut: boolean): void {
    this.#isCut = isCut;
    if (isCut) this.#server.closeAllConnections();
  }

  /** Something between the browser and the server, which answers instead of it where it likes. */
  between(answers: Answers): void {
    this.#answers = answers;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? "/", this.origin).pathname;
    if (path.startsWith("/v1/")) {
      await this.#protocol(request, response);
    } else if (path === "/token") {
      response.writeHead(this.token === undefined ? 401 : 200).end(this.token);
    } else if (path === "/witness") {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      this.#witness(Buffer.concat(chunks).toString());
      response.writeHead(204).end();
    } else {
      await serve(path, response);
    }
  }

  async #protocol(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "", headers } = request;
    const call = { method, url, bytes: Number(headers["content-length"] ?? 0), headers };
    if (!this.#isCut) this.calls.push(call);
    const answer = this.#isCut ? undefined : this.#answers(call);
    if (answer === undefined || answer === "lose") {
      this.#forward(request, response, answer === "lose");
      return;
    }
    if (answer === "half") {
      await this.#forwardHalf(request, call.bytes);
      response.destroy();
      return;
    }
    // What has not been read would be lost with the connection, and the answer with it.
    for await (const _ of request);
    if (answer === "hang") return;
    response.writeHead(answer.status, answer.headers).end(answer.body);
  }

  async #forwardHalf(request: IncomingMessage, bytes: number): Promise<void> {
    if (this.#target === undefined) return;
    const { hostname, port } = this.#target;
    const { url: path, method, headers } = request;
    const onward = requestOf({ hostname, port, path, method, headers });
    onward.on("error", () => undefined);
    const body: Buffer[] = [];
    for await (const chunk of request) body.push(chunk as Buffer);
    const half = Buffer.concat(body).subarray(0, Math.floor(bytes / 2));
    await new Promise((sent) => onward.write(half, sent));
    onward.destroy();
  }

  #forward(request: IncomingMessage, response: ServerResponse, isLost: boolean): void {
    if (this.#target === undefined || this.#isCut) {
      response.destroy();
      return;
    }
    const { hostname, port } = this.#target;
    const { url: path, method, headers } = request;
    const onward = requestOf({ hostname, port, path, method, headers }, (answer) => {
      if (isLost) {
        // The server has said what it did: so it is done.
        answer.resume().on("end", () => response.destroy());
        return;
      }
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
      answer.on("error", () => response.destroy());
    });
    onward.on("error", () => response.destroy());
    // A long poll ends with the page that waits for it.
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  }
}

async function serve(path: string, response: ServerResponse): Promise<void> {
  const file = fileOf(normalize(path));
  const bytes = file === undefined ? undefined : await readFile(file).catch(() => undefined);
  if (file === undefined || bytes === undefined) {
    response.writeHead(404).end();
    return;
  }
  const extension = extname(file);
  const body =
    extension === ".ts"
      ? (await transformWithOxc(bytes.toString(), file, { target: "es2022" })).code
      : bytes;
  const type = TYPES[extension] ?? "application/octet-stream";
  response.writeHead(200, { "content-type": type, "cache-control": "no-store" }).end(body);
}

function fileOf(path: string): string | undefined {
  if (path === "/") return join(TESTS, "lab/index.html");
  if (path.startsWith("/tests/")) return join(TESTS, path.slice("/tests".length));
  if (path.startsWith("/tidelog/")) return join(PACKAGE, path.slice("/tidelog".length));
  return undefined;
}

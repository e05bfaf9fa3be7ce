/**
 * Where requests run. In a visitor's browser: in frames of this page, each new. In the harness (`npm run bench`): in pages of
 * their own, each new, of a browser that the harness can also weigh and close.
 */
import { WrongResult } from "./loan.ts";
import type {
  Answers,
  AnswerTo,
  Failure,
  Heap,
  PingRequest,
  PongRequest,
  Request,
} from "./runner/requests.ts";

export interface Host {
  readonly kind: "page" | "harness";
  /** Does it in a fresh page. Throws what the page could not do; {@link WrongResult} if its result was wrong. */
  run<R extends Request>(request: R): Promise<AnswerTo<R>>;
  /** Two at once, in pages that see the same databases. */
  pair<A extends Request, B extends Request>(a: A, b: B): Promise<[AnswerTo<A>, AnswerTo<B>]>;
  /** Two at once, in browsers that share nothing but the server, beside a bare echo; gives the first one's answer. */
  apart(a: Omit<PingRequest, "echo">, b: PongRequest): Promise<Answers["ping"]>;
  /** Bytes that the databases take once these requests have run one after the other. */
  bytesAfter(requests: readonly Request[]): Promise<number>;
}

/** What the harness offers to the page: everything as JSON. */
export interface Harness {
  run(requests: readonly Request[]): Promise<readonly unknown[]>;
  apart(requests: readonly Omit<Request, "echo">[]): Promise<readonly unknown[]>;
  bytesAfter(requests: readonly Request[]): Promise<number | Failure>;
}

export function hostOf(harness: Harness | undefined): Host {
  return harness ? harnessHost(harness) : pageHost();
}

function harnessHost(harness: Harness): Host {
  return {
    kind: "harness",
    run: async (request) => answerOf(request, (await harness.run([request]))[0]),
    pair: async (a, b) => {
      const [first, second] = await harness.run([a, b]);
      return [answerOf(a, first), answerOf(b, second)];
    },
    apart: async (a, b) => {
      const [first, second] = await harness.apart([a, b]);
      answerOf(b, second);
      return answerOf({ ...a, echo: "" }, first);
    },
    bytesAfter: async (requests) => {
      const bytes = await harness.bytesAfter(requests);
      if (typeof bytes === "number") return bytes;
      throw failureToError(requests.at(-1), bytes);
    },
  };
}

function pageHost(): Host {
  const runInFrame = async <R extends Request>(request: R): Promise<AnswerTo<R>> => {
    const frame = await freshFrame();
    try {
      const answer = await ask(frame, request);
      const weighed = request.kind === "open" && request.weigh ? { heap: heapOfPage() } : {};
      return { ...answerOf(request, answer), ...weighed };
    } finally {
      frame.remove();
    }
  };
  return {
    kind: "page",
    run: runInFrame,
    pair: (a, b) => Promise.all([runInFrame(a), runInFrame(b)]),
    apart: () => Promise.reject(new Error("a page has no other browser")),
    async bytesAfter(requests) {
      const before = await bytesOfOrigin();
      for (const request of requests) await runInFrame(request);
      return Math.max(0, (await bytesOfOrigin()) - before);
    },
  };
}

/** The runner's page as a frame of its own realm. By its text: pages of this site let nobody frame them. */
async function freshFrame(): Promise<HTMLIFrameElement> {
  const answer = await fetch("/bench/run/");
  if (!answer.ok) throw new Error(`the page that measures was not served: ${answer.status}`);
  const frame = document.createElement("iframe");
  frame.srcdoc = await answer.text();
  frame.hidden = true;
  frame.title = "measurement";
  const ready = new Promise<void>((resolve) => {
    const listen = ({ source, data }: MessageEvent) => {
      if (source !== frame.contentWindow || data !== "ready") return;
      window.removeEventListener("message", listen);
      resolve();
    };
    window.addEventListener("message", listen);
  });
  document.body.append(frame);
  await ready;
  return frame;
}

function ask(frame: HTMLIFrameElement, request: Request): Promise<unknown> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => {
      port1.close();
      resolve(data);
    };
    frame.contentWindow?.postMessage(request, location.origin, [port2]);
  });
}

function answerOf<R extends Request>(request: R, answer: unknown): AnswerTo<R> {
  if (typeof answer === "object" && answer !== null && "failed" in answer) {
    throw failureToError(request, answer as Failure);
  }
  return answer as AnswerTo<R>;
}

function failureToError(request: Request | undefined, { failed, wrong }: Failure): Error {
  const what =
    request && "subject" in request ? `${request.subject}, ${request.kind}` : request?.kind;
  const message = `${what}: ${failed}`;
  return wrong ? new WrongResult(message) : new Error(message);
}

/** Chromium only, and of the whole page. */
function heapOfPage(): Heap {
  const { memory } = performance as Performance & {
    readonly memory?: { readonly usedJSHeapSize: number };
  };
  return { jsBytes: memory?.usedJSHeapSize ?? Number.NaN, collected: false };
}

async function bytesOfOrigin(): Promise<number> {
  const estimate: StorageEstimate & { readonly usageDetails?: { readonly indexedDB?: number } } =
    await navigator.storage.estimate();
  return estimate.usageDetails?.indexedDB ?? estimate.usage ?? Number.NaN;
}

/** Two tabs: B watches and says when it shows what A appended. */
import { WrongResult } from "../loan.ts";
import { median } from "../stats.ts";
import { answerOf, openDatabase } from "../subjects/idb.ts";
import { extraEvent, openSubject } from "./opened.ts";
import type { Answers, WatchRequest, WriteRequest } from "./requests.ts";

type Message = "ready?" | "ready" | "ping" | "pong" | "seen" | "done";

/** Answers until tab A has done. */
export async function watch(request: WatchRequest): Promise<Answers["watch"]> {
  const store = await openSubject(request.subject, request.database);
  const channel = new BroadcastChannel(request.channel);
  const tell = (message: Message) => channel.postMessage(message);
  const done = new Promise<void>((resolve) => {
    channel.onmessage = ({ data }: MessageEvent<Message>) => {
      if (data === "ready?") tell("ready");
      if (data === "ping") tell("pong");
      if (data === "done") resolve();
    };
  });
  const stop = await store.subscribe?.(request.key, () => tell("seen"));
  tell("ready");
  await done;
  stop?.();
  channel.close();
  await store.close();
  return {};
}

export async function write(request: WriteRequest): Promise<Answers["write"]> {
  const store = await openSubject(request.subject, request.database);
  const records = await openDatabase(request.records, () => undefined);
  const channel = new BroadcastChannel(request.channel);
  const heard = (wanted: Message) =>
    new Promise<void>((resolve) => {
      channel.onmessage = ({ data }: MessageEvent<Message>) => {
        if (data === wanted) resolve();
      };
    });
  const ready = heard("ready");
  channel.postMessage("ready?" satisfies Message);
  await ready;

  const ms: number[] = [];
  const afterDurable: number[] = [];
  const bare: number[] = [];
  const rawRead: number[] = [];
  for (let i = 0; i < request.count; i += 1) {
    const seen = heard("seen");
    const start = performance.now();
    let durable = start;
    const appended = store.append(extraEvent(i, request.key)).then(() => {
      durable = performance.now();
    });
    await seen;
    const end = performance.now();
    await appended;
    ms.push(end - start);
    afterDurable.push(Math.max(0, end - durable));

    const pong = heard("pong");
    const sent = performance.now();
    channel.postMessage("ping" satisfies Message);
    await pong;
    bare.push(performance.now() - sent);

    const reading = performance.now();
    const event = await answerOf(
      records
        .transaction("events")
        .objectStore("events")
        .get(1 + i),
    );
    rawRead.push(performance.now() - reading);
    if (event === undefined) throw new WrongResult("a raw record is missing");
  }
  channel.postMessage("done" satisfies Message);
  channel.close();
  records.close();
  await store.close();
  // The word from B to A is half a round trip that no user waits for.
  const way = median(bare) / 2;
  const less = (samples: readonly number[]) => samples.map((each) => Math.max(0, each - way));
  return { ms: less(ms), afterDurable: less(afterDurable), bare, rawRead };
}

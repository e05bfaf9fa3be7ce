/** What the main thread and WebAssembly do while something else is measured. */

export interface Watch {
  stop(): Promise<{ readonly longestTask: number; readonly longestGap: number }>;
}

/**
 * Watches the main thread. The browser reports tasks of 50 ms and more; the gaps between the turns of the event loop, seen by
 * a message that is posted again and again, are known for shorter ones as well and may join two tasks.
 */
export function watchMainThread(): Watch {
  let longestTask = 0;
  let longestGap = 0;
  const take = (entries: PerformanceEntryList) => {
    for (const { duration } of entries) longestTask = Math.max(longestTask, duration);
  };
  const observer = new PerformanceObserver((list) => take(list.getEntries()));
  if (PerformanceObserver.supportedEntryTypes.includes("longtask")) {
    observer.observe({ type: "longtask" });
  }
  const { port1, port2 } = new MessageChannel();
  let last = performance.now();
  port1.onmessage = () => {
    const now = performance.now();
    longestGap = Math.max(longestGap, now - last);
    last = now;
    port2.postMessage(undefined);
  };
  port2.postMessage(undefined);
  return {
    async stop() {
      await turn();
      port1.close();
      take(observer.takeRecords());
      observer.disconnect();
      return { longestTask, longestGap };
    },
  };
}

/** Lets the event loop turn. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

const memories = new Set<WebAssembly.Memory>();

/** To be called before any module is loaded: from then on the size of every WebAssembly memory is known. */
export function countWasmMemories(): void {
  const { instantiate, instantiateStreaming, Instance, Memory } = WebAssembly;
  const keep = (instance: WebAssembly.Instance) => {
    for (const value of Object.values(instance.exports)) {
      if (value instanceof Memory) memories.add(value);
    }
  };
  const keepResult = async <T>(result: Promise<T>): Promise<T> => {
    const done: unknown = await result;
    keep(
      done instanceof Instance
        ? done
        : (done as WebAssembly.WebAssemblyInstantiatedSource).instance,
    );
    return done as T;
  };
  WebAssembly.instantiate = ((source: BufferSource, imports?: WebAssembly.Imports) =>
    keepResult(instantiate(source, imports))) as typeof instantiate;
  WebAssembly.instantiateStreaming = (source, imports) =>
    keepResult(instantiateStreaming(source, imports));
  WebAssembly.Instance = new Proxy(Instance, {
    construct(target, parameters, newTarget) {
      const made: WebAssembly.Instance = Reflect.construct(target, parameters, newTarget);
      keep(made);
      return made;
    },
  });
}

export function wasmBytes(): number {
  let sum = 0;
  for (const memory of memories) sum += memory.buffer.byteLength;
  return sum;
}

/**
 * Loading the wasm module, once for all logs of a page. Importing the package loads nothing. Bundlers see
 * `new URL(…, import.meta.url)` and ship the file; where one serves something else under that address (an
 * app's HTML page) or nothing, the magic bytes tell, and a lazily imported copy in text form takes over.
 */
import type { CoreFactory, CoreOptions, LogCore } from "./border.js";
import { messageOf, tidelogError } from "./errors.js";
import type { WasmSource } from "./log-types.js";

interface Glue {
  default(options: { readonly module_or_path: WebAssembly.Module }): Promise<unknown>;
  readonly LogCore: new (options: CoreOptions) => LogCore;
}

let loading: Promise<Glue> | undefined;

/** A factory of cores over the real wasm module. The source of the first log that opens is used for all. */
export function wasmCore(source: WasmSource | undefined): CoreFactory {
  return async (options) => {
    loading ??= load(source);
    let glue: Glue;
    try {
      glue = await loading;
    } catch (thrown) {
      // A failure is not kept: the network may be back at the next try.
      loading = undefined;
      throw tidelogError("wasm_not_loaded", { problem: messageOf(thrown) }, thrown);
    }
    return new glue.LogCore(options);
  };
}

async function load(source: WasmSource | undefined): Promise<Glue> {
  const [module_or_path, imported] = await Promise.all([
    sourceToModule(source),
    import("./wasm/tidelog_wasm.js"),
  ]);
  const glue = imported as unknown as Glue;
  await glue.default({ module_or_path });
  return glue;
}

async function sourceToModule(given: WasmSource | undefined): Promise<WebAssembly.Module> {
  const source = await given;
  if (source instanceof WebAssembly.Module) return source;
  if (source === undefined) return ownModule();
  const module =
    source instanceof URL
      ? await responseToModule(await fetch(source))
      : source instanceof Response
        ? await responseToModule(source)
        : await bytesToModule(source);
  if (module === undefined) throw new Error("the given source is not a wasm module");
  return module;
}

/** From the package's own file, or its copy as text. */
async function ownModule(): Promise<WebAssembly.Module> {
  const url = new URL("./wasm/tidelog_wasm_bg.wasm", import.meta.url);
  // Node and Deno cannot fetch files, and `node:fs` must not enter a browser's bundle.
  if (url.protocol !== "file:") {
    try {
      const module = await responseToModule(await fetch(url));
      if (module) return module;
    } catch {
      // Offline, or a bundler that did not ship the file: the copy may still be there.
    }
  }
  const { default: text } = await import("./wasm/inline.js");
  return WebAssembly.compile(Uint8Array.from(atob(text), (char) => char.charCodeAt(0)));
}

/**
 * Compiled while it comes, where the server says what it is: only of such a module do browsers keep the
 * optimised code for the next visit. `undefined` if it is something else.
 */
async function responseToModule(response: Response): Promise<WebAssembly.Module | undefined> {
  const isDeclared = response.ok && response.headers.get("content-type") === "application/wasm";
  if (isDeclared && typeof WebAssembly.compileStreaming === "function") {
    return WebAssembly.compileStreaming(response);
  }
  return bytesToModule(await response.arrayBuffer());
}

async function bytesToModule(bytes: BufferSource): Promise<WebAssembly.Module | undefined> {
  return isWasm(bytes) ? WebAssembly.compile(bytes) : undefined;
}

/** The magic bytes `\0asm`. */
function isWasm(source: BufferSource): boolean {
  const bytes =
    source instanceof ArrayBuffer
      ? new Uint8Array(source)
      : new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  return bytes[0] === 0 && bytes[1] === 0x61 && bytes[2] === 0x73 && bytes[3] === 0x6d;
}

/** What the build puts beside the sources; typed by `border.ts`, so that they compile without it. */
declare module "*/wasm/tidelog_wasm.js" {
  export default function init(options: object): Promise<unknown>;
  export const LogCore: unknown;
}

declare module "*/wasm/inline.js" {
  /** The wasm module in base64. */
  const text: string;
  export default text;
}

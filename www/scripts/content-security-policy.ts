import type { Plugin } from "vite";

/**
 * The policy of every built page: no inline script, no `eval`, no other origin. `wasm-unsafe-eval` is
 * what compiling WebAssembly needs; `data:` images are the check marks of todomvc-app-css.
 */
export const POLICY = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "img-src 'self' data:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

/** Puts {@link POLICY} into the built pages. The dev server's pages need inline scripts and go without. */
export function contentSecurityPolicy(): Plugin {
  return {
    name: "tidelog-www:content-security-policy",
    apply: "build",
    transformIndexHtml: () => [
      {
        tag: "meta",
        attrs: { "http-equiv": "Content-Security-Policy", content: POLICY },
        injectTo: "head-prepend",
      },
    ],
  };
}

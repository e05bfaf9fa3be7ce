/** Modules that no visitor is sent: `npm run bench` builds and serves them beside the page. */

/** Imports one. Throws where nobody serves it. */
export async function loadServed<Module>(script: string, name: string): Promise<Module> {
  const answer = await fetch(script, { method: "HEAD" });
  const type = answer.headers.get("content-type") ?? "";
  if (!answer.ok || !type.includes("javascript")) {
    throw new Error(`${name} is not served here; npm run bench builds it`);
  }
  return (await import(/* @vite-ignore */ script)) as Module;
}

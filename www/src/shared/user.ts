/**
 * Who uses the page: `?user=NAME`, else nobody in particular. The name picks the database on this
 * device; a server in `--dev` mode takes it as the token and so as the author of what is pushed.
 */
export interface User {
  readonly name: string;
  /** Absent without `?user=`. */
  readonly token: string | undefined;
}

export function userOfPage(search: string = location.search): User {
  const name = new URLSearchParams(search).get("user")?.trim();
  return name ? { name, token: name } : { name: "anonymous", token: undefined };
}

/** As much of PouchDB as is measured. */
declare module "pouchdb-browser" {
  interface Result {
    readonly error?: unknown;
    readonly message?: string;
  }
  interface Changes {
    on(event: "change", listener: () => void): void;
    cancel(): void;
  }
  export default class PouchDB<Doc> {
    constructor(name: string, options?: { readonly auto_compaction?: boolean });
    put(doc: Doc & { readonly _id: string }): Promise<Result>;
    bulkDocs(docs: readonly (Doc & { readonly _id: string })[]): Promise<readonly Result[]>;
    allDocs(options: {
      readonly include_docs: true;
      readonly startkey?: string;
      readonly endkey?: string;
    }): Promise<{ readonly rows: readonly { readonly doc?: Doc }[] }>;
    changes(options: {
      readonly since: "now";
      readonly live: true;
      readonly include_docs: true;
    }): Changes;
    close(): Promise<void>;
  }
}

import { Component, type ReactNode, useEffect, useState } from "react";
import { type LogMembers, TidelogError } from "tidelog";

/** What went wrong, with its code and where the code is explained. */
export function Problem({ title, error }: { title: string; error: unknown }) {
  return (
    <section className="problem" role="alert">
      <h2>{title}</h2>
      <p>{error instanceof Error ? error.message : String(error)}</p>
      {error instanceof TidelogError && (
        <p>
          <code>{error.code}</code> <a href={error.docs}>What this means</a>
        </p>
      )}
      <button type="button" onClick={() => location.reload()}>
        Reload
      </button>
    </section>
  );
}

/** Shows why the log could not be opened, if it could not. */
export function OpeningProblem({ log }: { log: LogMembers }) {
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    let shown = true;
    log.ready().catch((thrown: unknown) => {
      if (shown) setError(thrown);
    });
    return () => {
      shown = false;
    };
  }, [log]);
  return error === undefined ? null : <Problem title="The log could not be opened" error={error} />;
}

/** Keeps a page that failed to render from being blank. */
export class ProblemBoundary extends Component<{ children: ReactNode }, { error: unknown }> {
  override state: { error: unknown } = { error: undefined };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    const { error } = this.state;
    return error === undefined ? (
      this.props.children
    ) : (
      <Problem title="This page stopped" error={error} />
    );
  }
}

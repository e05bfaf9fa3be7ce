/** Puts a demo's app on its page. */
import { type ReactNode, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ProblemBoundary } from "./problem.tsx";

export function mount(app: ReactNode): void {
  const root = document.getElementById("root");
  if (root === null) throw new Error("The page has no #root element.");
  createRoot(root).render(
    <StrictMode>
      <ProblemBoundary>{app}</ProblemBoundary>
    </StrictMode>,
  );
}

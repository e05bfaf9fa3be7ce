/** The figures in the order of the table. */
import { append } from "./append.ts";
import { burst } from "./burst.ts";
import { disk } from "./disk.ts";
import type { Figure, FigureId } from "./figure.ts";
import { history } from "./history.ts";
import { bulkImport } from "./import.ts";
import { live } from "./live.ts";
import { longtask } from "./longtask.ts";
import { memory } from "./memory.ts";
import { open } from "./open.ts";
import { rebase } from "./rebase.ts";
import { snapshot } from "./snapshot.ts";
import { tabs } from "./tabs.ts";
import { told } from "./told.ts";

export const FIGURES: readonly Figure[] = [
  append,
  told,
  burst,
  bulkImport,
  open,
  snapshot,
  disk,
  history,
  longtask,
  tabs,
  memory,
  rebase,
  live,
];

/** Those that any visitor's page can measure. */
export const OF_A_PAGE: readonly Figure[] = FIGURES.filter(({ needs }) => needs === undefined);

/** Those that only read come before those that append to the same databases. */
export const IN_ORDER: readonly FigureId[] = [
  "import",
  "open",
  "snapshot",
  "longtask",
  "memory",
  "history",
  "burst",
  "disk",
  "tabs",
  "append",
  "told",
  "rebase",
  "live",
];

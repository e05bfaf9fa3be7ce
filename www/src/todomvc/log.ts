/** The log `todos`. */
import { createLog, type Receipt, TidelogError } from "tidelog";
import { keepOf, keepToRetain } from "../shared/keep.ts";
import { userOfPage } from "../shared/user.ts";
import { todo } from "./todo.ts";

const user = userOfPage();

export const todos = createLog({
  name: "todos",
  user: user.name,
  streams: { todo },
  retain: keepToRetain(keepOf("todos")),
  sync: { url: "/v1/logs/todos", token: () => user.token },
});

/**
 * Gives a command as soon as the log is open: at once, unless the page has only just been loaded.
 * Afterwards `onRefused` hears why a command was not accepted, or why it could not be written.
 */
export function give(
  command: () => Receipt,
  onRefused: (message: string) => void,
): Receipt | undefined {
  const report = (error: unknown) =>
    onRefused(error instanceof Error ? error.message : String(error));
  try {
    const receipt = command();
    // A refused command is never written: its `durable` would say the same once more, later.
    if (receipt.ok) receipt.durable.catch(report);
    else onRefused(receipt.reason?.message ?? "That is not possible.");
    return receipt;
  } catch (error) {
    if (error instanceof TidelogError && error.code === "not_ready") {
      todos.ready().then(() => give(command, onRefused), report);
    } else {
      report(error);
    }
    return undefined;
  }
}

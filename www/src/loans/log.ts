/** The log `loans`, read only here. */
import { createLog } from "tidelog";
import { userOfPage } from "../shared/user.ts";
import { application } from "./application.ts";

const user = userOfPage();

export const loans = createLog({
  name: "loans",
  user: user.name,
  streams: { application },
  sync: { url: "/v1/logs/loans", token: () => user.token },
});

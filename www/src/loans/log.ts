/** The log `loans`, read only here. */
import { createLog } from "tidelog";
import { keepOf, keepToRetain } from "../shared/keep.ts";
import { userOfPage } from "../shared/user.ts";
import { application } from "./application.ts";

const user = userOfPage();

export const loans = createLog({
  name: "loans",
  user: user.name,
  streams: { application },
  retain: keepToRetain(keepOf("loans")),
  sync: { url: "/v1/logs/loans", token: () => user.token },
});

/** Zod, set up for a page whose policy forbids `eval`: it would try it, and the browser would complain. */
import { z } from "zod";

z.config({ jitless: true });

export { z };

/**
 * To be imported before any schema is made: zod would try `eval`, which the page's policy forbids, and
 * the browser would complain.
 */
import { config } from "zod";

config({ jitless: true });

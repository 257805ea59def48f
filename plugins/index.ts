/** The built-in plugins. */
export { alerts } from "./alerts/index.ts";
export { audit } from "./audit/index.ts";
export { auth } from "./auth/index.ts";
export { idempotency } from "./idempotency/index.ts";
export { metrics } from "./metrics/index.ts";
export { quota } from "./quota/index.ts";
export { rateLimit } from "./rate-limit/index.ts";
export { usage } from "./usage/index.ts";

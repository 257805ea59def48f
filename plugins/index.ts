/** The built-in plugins. */
export { alerts } from "./alerts/index.ts";
export { auth } from "./auth/index.ts";
export { metrics } from "./metrics/index.ts";

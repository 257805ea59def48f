/** The built-in plugins. */
export { metrics } from "./metrics/index.ts";

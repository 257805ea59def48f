import type { ApiGuard } from "./guard.ts";

/** Stands in where no plugin authenticates. */
export const NO_GUARD: ApiGuard = { identify: async () => undefined };

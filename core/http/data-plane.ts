import type { Calls } from "../calls.ts";
import type { Run } from "../chain.ts";
import type { Settings } from "../config/schema.ts";
import type { Health } from "../plugin.ts";
import type { Clock } from "../services/clock.ts";
import type { Ids } from "../services/ids.ts";
import type { Catalogue } from "../upstream/catalogue.ts";

/** What the HTTP side needs of the generation that it serves. */
export interface DataPlane {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly catalogue: Catalogue;
  readonly calls: Calls;
  readonly run: Run;
  /** What is to be said of plugins and services, by name; from memory. */
  health(): Record<string, Health>;
}

/** What the server around the generations tells them. */
export interface ServerState {
  /** Monotonic ms. */
  readonly startedAt: number;
  readonly draining: boolean;
}

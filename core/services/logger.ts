import { token } from "../di.ts";

type LogMethod = {
  (message: string): void;
  /** `fields` come first, as in pino; an Error goes under `err`. */
  (fields: Record<string, unknown>, message: string): void;
};

/** Structured log lines. Secrets are redacted, and a sink that blocks loses lines (counted) instead of holding requests. */
export interface Logger {
  debug: LogMethod;
  info: LogMethod;
  warn: LogMethod;
  error: LogMethod;
  /** Whether a level is written at all, to spare work on the hot path. */
  enabled(level: "debug" | "info" | "warn" | "error"): boolean;
  /** A logger that adds these fields to each line. */
  child(fields: Record<string, unknown>): Logger;
}

export const Logger = token<Logger>("logger");

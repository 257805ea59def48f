import { pino } from "pino";
import { token } from "../di.ts";
import { stdoutSink } from "./log-sink.ts";
import { Metrics } from "./metrics.ts";
import { maskText, redactFields } from "./redact.ts";

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

export interface LoggerOptions {
  readonly level: "debug" | "info" | "warn" | "error" | "silent";
  /** Counts lines lost to a blocked or broken sink as `headgate_log_lines_dropped_total`. */
  readonly metrics: Metrics;
  /** Takes each finished line, newline included; standard output by default. */
  readonly stream?: { write(line: string): void };
}

/** The process's own logger; whoever made it closes it. */
export interface RootLogger extends Logger {
  /** Waits up to `ms` for what is still to be written; then lets go of standard output. */
  close(ms: number): Promise<void>;
}

/** Bytes held for a sink that does not keep up. */
const BUFFER_BYTES = 1024 * 1024;

/** JSON lines: `level`, `time` (epoch ms), the fields, `msg`. Stacks of errors are written at level `debug` only. */
export function createLogger(options: LoggerOptions): RootLogger {
  const dropped = options.metrics.counter("headgate_log_lines_dropped_total", { help: "Log lines lost to a blocked or broken sink." });
  const stdout = options.stream ? undefined : stdoutSink(BUFFER_BYTES, (lines) => dropped.add(lines));
  const sink = options.stream ?? stdout;
  const stacks = options.level === "debug";
  const root = pino(
    {
      level: options.level,
      base: null,
      serializers: { err: (value: unknown) => value },
      formatters: {
        level: (level) => ({ level }),
        log: (fields) => redactFields(fields, stacks),
      },
    },
    { write: (line: string) => sink?.write(maskText(line)) },
  );
  return Object.assign(facade(root, stacks), {
    async close(ms: number) {
      await stdout?.close(ms);
    },
  });
}

function facade(logger: pino.Logger, stacks: boolean): Logger {
  return {
    debug: logger.debug.bind(logger),
    info: logger.info.bind(logger),
    warn: logger.warn.bind(logger),
    error: logger.error.bind(logger),
    enabled: (level) => logger.isLevelEnabled(level),
    // Spread, because pino asks the bindings themselves for hasOwnProperty.
    child: (fields) => facade(logger.child({ ...redactFields(fields, stacks) }), stacks),
  };
}

export const Logger = token<Logger>("logger", (scope) => createLogger({ level: "info", metrics: scope.get(Metrics) }));

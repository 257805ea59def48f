import { loadOptions, run, type ServerFlags } from "../run.ts";

/** Serves until stopped. */
export function start(flags: ServerFlags): Promise<number> {
  return run(loadOptions(flags));
}

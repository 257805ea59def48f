/** Loaded into each proxy ahead of its own code: says what the process has used. */
import { setTimeout } from "node:timers/promises";
import { answerParent } from "./talk.ts";

answerParent({
  /** Microseconds of CPU so far, user and system, all threads. */
  cpu() {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
  /** Resident bytes once the garbage is gone. */
  async memory() {
    for (let pass = 0; pass < 3; pass++) {
      globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
      await setTimeout(100);
    }
    return process.memoryUsage.rss();
  },
});
// The proxy's own server decides how long it lives.
process.channel?.unref();

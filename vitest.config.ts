import { defineConfig } from "vitest/config";

/** What takes minutes of real time: `npm run faults`. */
const SLOW = "{core,plugins,presets,examples,test}/**/*.slow.test.ts";
const ALL = "{core,plugins,presets,examples,test}/**/*.test.ts";
/** What measures time or memory, or is up to a machine's limits: nothing runs beside these. */
const ALONE = [
  "core/services/tokens.test.ts",
  "core/services/database/postgres.test.ts",
  "plugins/auth/{hostile,outage}.test.ts",
  "plugins/rate-limit/shared.test.ts",
  "test/edge/{bodies,large,process,slow}.test.ts",
  "test/faults/{clients,flapping,hostile,kill,leaving,outage,shutdown,streams,tokenizer}.test.ts",
];

export default defineConfig(({ mode }) => {
  const project = (name: string, files: readonly string[], but: readonly string[], groupOrder: number, maxWorkers: number) => ({
    extends: true as const,
    test: { name, include: [...files], exclude: [...but], maxWorkers, sequence: { groupOrder } },
  });
  return {
    // The package's own name resolves to its sources, as in every npm script.
    resolve: { conditions: ["headgate-source", "node"] },
    ssr: { resolve: { conditions: ["headgate-source", "node"] } },
    test: {
      testTimeout: 20_000,
      hookTimeout: 30_000,
      // A machine that many share stalls now and then; what fails on a quiet one fails each time.
      retry: process.env.CI ? 2 : 0,
      pool: "forks",
      projects:
        mode === "slow"
          ? [project("slow", [SLOW], [], 0, 1)]
          : [project("beside others", [ALL], [SLOW, ...ALONE], 0, 2), project("alone", ALONE, [], 1, 1)],
    },
  };
});

import { defineConfig } from "vitest/config";

/** What takes minutes of real time: `npm run faults`. */
const SLOW = "{core,plugins,presets,examples,test}/**/*.slow.test.ts";

export default defineConfig(({ mode }) => ({
  // The package's own name resolves to its sources, as in every npm script.
  resolve: { conditions: ["headgate-source", "node"] },
  ssr: { resolve: { conditions: ["headgate-source", "node"] } },
  test: {
    include: mode === "slow" ? [SLOW] : ["{core,plugins,presets,examples,test}/**/*.test.ts"],
    exclude: mode === "slow" ? [] : [SLOW],
    testTimeout: 20_000,
    hookTimeout: 30_000,
    // A machine that many share stalls now and then; what fails on a quiet one fails each time.
    retry: process.env.CI ? 2 : 0,
    pool: "forks",
    // Many tests start processes of their own; two files at once on two cores would measure each other.
    maxWorkers: process.env.CI ? 1 : 2,
  },
}));

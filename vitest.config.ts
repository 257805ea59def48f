import { defineConfig } from "vitest/config";

export default defineConfig({
  // The package's own name resolves to its sources, as in every npm script.
  resolve: { conditions: ["headgate-source", "node", "import", "default"] },
  ssr: { resolve: { conditions: ["headgate-source", "node", "import", "default"] } },
  test: {
    include: ["{core,plugins,presets,examples,test}/**/*.test.ts"],
    testTimeout: 20_000,
    hookTimeout: 30_000,
    pool: "forks",
    maxWorkers: 2,
  },
});

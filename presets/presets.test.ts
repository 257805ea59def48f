import { resolveConfig } from "headgate";
import { afterEach, describe, expect, it, vi } from "vitest";
import { providersFromEnv } from "./index.ts";

describe("providersFromEnv", () => {
  afterEach(() => vi.unstubAllEnvs());

  it("adds each provider whose key is set, and no other", () => {
    vi.stubEnv("ANTHROPIC_API_KEY", "sk-ant-test");
    vi.stubEnv("XAI_API_KEY", "xai-test");
    const { providers } = resolveConfig({ providers: providersFromEnv(), plugins: [] });
    expect(providers.map(({ name }) => name)).toEqual(["anthropic", "xai"]);
  });

  it("keeps the keys out of sight", () => {
    vi.stubEnv("OPENAI_API_KEY", "sk-canary");
    expect(JSON.stringify(providersFromEnv())).not.toContain("canary");
  });
});

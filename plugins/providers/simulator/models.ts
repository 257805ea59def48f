import type { ModelInfo } from "headgate";

/** A model with how fast it answers. */
export interface SimulatedModel extends ModelInfo {
  readonly contextLength: number;
  readonly maxOutput: number;
  readonly capabilities: readonly string[];
  readonly tokensPerSecond: number;
  /** To the first token. */
  readonly latencyMs: number;
  /** Sentences in an answer. */
  readonly sentences: number;
}

/** Prices are in nano-dollars per token: 1,000 is a dollar per million. */
export const MODELS: readonly SimulatedModel[] = [
  {
    id: "sim-nano",
    name: "Simulator Nano",
    contextLength: 16_384,
    maxOutput: 4_096,
    price: { input: 50, output: 200 },
    capabilities: ["chat", "tools", "json_schema"],
    tier: "economy",
    tokensPerSecond: 400,
    latencyMs: 40,
    sentences: 1,
  },
  {
    id: "sim-small",
    name: "Simulator Small",
    contextLength: 131_072,
    maxOutput: 16_384,
    price: { input: 400, output: 1_600, cachedInput: 100 },
    capabilities: ["chat", "tools", "json_schema", "vision"],
    tier: "standard",
    tokensPerSecond: 200,
    latencyMs: 120,
    sentences: 3,
  },
  {
    id: "sim-large",
    name: "Simulator Large",
    contextLength: 1_048_576,
    maxOutput: 65_536,
    price: { input: 3_000, output: 15_000, cachedInput: 300 },
    capabilities: ["chat", "tools", "json_schema", "vision"],
    tier: "premium",
    tokensPerSecond: 90,
    latencyMs: 350,
    sentences: 6,
  },
  {
    id: "sim-reasoner",
    name: "Simulator Reasoner",
    contextLength: 262_144,
    maxOutput: 65_536,
    price: { input: 2_000, output: 8_000, cachedInput: 500 },
    capabilities: ["chat", "tools", "json_schema", "vision", "reasoning"],
    tier: "reasoning",
    tokensPerSecond: 150,
    latencyMs: 250,
    sentences: 3,
  },
  {
    id: "sim-embed",
    name: "Simulator Embed",
    contextLength: 8_192,
    maxOutput: 0,
    price: { input: 20, output: 0 },
    capabilities: ["embeddings"],
    tier: "economy",
    tokensPerSecond: 50_000,
    latencyMs: 20,
    sentences: 0,
  },
];

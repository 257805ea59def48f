import { describe, expect, it } from "vitest";
import { GatewayError } from "../errors.ts";
import type { Provider } from "../provider.ts";
import { Events } from "../services/events.ts";
import { FakeClock } from "../testing/clock.ts";
import { FakeLogger, fakeServices } from "../testing/services.ts";
import { createCatalogue } from "../upstream/catalogue.ts";
import type { ApiRoute } from "./api.ts";
import { ControlPlane } from "./control-plane.ts";
import { modelRoutes, openAiModelList } from "./models-api.ts";
import { NO_GUARD } from "./no-guard.ts";

const provider = (name: string, models: Provider["models"] = []): Provider => ({
  name,
  dialect: "openai-chat",
  baseUrl: "https://example",
  headers: () => ({}),
  models,
});
const catalogue = createCatalogue({
  providers: [
    provider("sim", [
      {
        id: "small",
        name: "Simulator Small",
        contextLength: 8_000,
        maxOutput: 4_000,
        price: { input: 75, output: 300 },
        capabilities: ["chat", "tools"],
      },
      { id: "vectors", price: { input: 20, output: 0 }, capabilities: ["embeddings"], tier: "economy" },
    ]),
    provider("other", [{ id: "org/large", contextLength: 200_000, price: { input: 3_000, output: 15_000 } }, { id: "free-form" }]),
  ],
  aliases: { fast: "sim/small" },
  prices: {},
  http: async () => ({}),
  clock: new FakeClock(),
  logger: new FakeLogger(),
});

const fakes = fakeServices();
const control = new ControlPlane(modelRoutes(catalogue), { guard: NO_GUARD, events: fakes.scope.get(Events), keyValue: fakes.keyValue });

async function get(path: string): Promise<{ data: Record<string, unknown>[]; [key: string]: unknown }> {
  const url = new URL(path, "http://gateway");
  const route = control.routes.find((candidate) => candidate.path === url.pathname) as ApiRoute;
  const reply = await control.answer(route, {
    headers: {},
    ip: "127.0.0.1",
    local: true,
    requestId: "req_1",
    params: {},
    query: url.searchParams,
    signal: AbortSignal.timeout(1_000),
    body: async () => undefined,
  });
  return reply.body as { data: Record<string, unknown>[] };
}
const ids = async (path: string) => (await get(path)).data.map(({ id }) => id);

describe("GET /api/models", () => {
  it("lists every model with what is known of it, costs in dollars per million tokens", async () => {
    const { data, ...rest } = await get("/api/models");
    expect(rest).toEqual({ object: "list", cost_unit: "usd_per_million_tokens" });
    expect(data[0]).toEqual({
      id: "sim/small",
      provider: "sim",
      name: "Simulator Small",
      context_length: 8_000,
      max_output: 4_000,
      input_cost: 0.075,
      output_cost: 0.3,
      blended_cost: 0.13125,
      tier: null,
      capabilities: ["chat", "tools"],
    });
    expect(data[3]).toMatchObject({
      id: "other/free-form",
      name: "free-form",
      context_length: null,
      input_cost: null,
      capabilities: ["chat"],
    });
  });

  it("filters by provider, chat and context", async () => {
    expect(await ids("/api/models")).toEqual(["sim/small", "sim/vectors", "other/org/large", "other/free-form"]);
    expect(await ids("/api/models?provider=other")).toEqual(["other/org/large", "other/free-form"]);
    expect(await ids("/api/models?supports_chat=true")).toEqual(["sim/small", "other/org/large", "other/free-form"]);
    expect(await ids("/api/models?supports_chat=false")).toEqual(["sim/vectors"]);
    expect(await ids("/api/models?min_context=8000")).toEqual(["sim/small", "other/org/large"]);
    expect(await ids("/api/models?min_context=8001&provider=sim")).toEqual([]);
    expect(await ids("/api/models?provider=")).toHaveLength(4);
  });
});

describe("GET /api/models/search", () => {
  it("finds every word in id, name or provider", async () => {
    expect(await ids("/api/models/search?q=simulator%20SMALL")).toEqual(["sim/small"]);
    expect(await ids("/api/models/search?q=org/")).toEqual(["other/org/large"]);
    expect(await ids("/api/models/search?q=nothing")).toEqual([]);
    expect(await ids("/api/models/search")).toHaveLength(4);
  });

  it("keeps to max_cost, three parts input to one part output, and leaves out what has no price", async () => {
    expect(await ids("/api/models/search?max_cost=6")).toEqual(["sim/small", "sim/vectors", "other/org/large"]);
    expect(await ids("/api/models/search?max_cost=5.99")).toEqual(["sim/small", "sim/vectors"]);
    expect(await ids("/api/models/search?max_cost=0")).toEqual([]);
  });
});

describe("a query that is not understood", () => {
  it.each([
    ["/api/models?provider=simm", "provider", 'There is no provider "simm"; did you mean "sim"?'],
    ["/api/models?supports_chat=yes", "supports_chat", 'The query parameter "supports_chat" has to be true or false, not "yes".'],
    ["/api/models?min_context=1.5", "min_context", 'The query parameter "min_context" has to be a whole number of 0 or more, not "1.5".'],
    ["/api/models?min_context=-1", "min_context", 'The query parameter "min_context" has to be a whole number of 0 or more, not "-1".'],
    ["/api/models?min_contxt=1", "min_contxt", 'There is no query parameter "min_contxt"; did you mean "min_context"?'],
    ["/api/models?provider=sim&provider=other", "provider", 'The query parameter "provider" is given more than once.'],
    ["/api/models?__proto__=1", "__proto__", 'There is no query parameter "__proto__"; known are provider, supports_chat or min_context.'],
    ["/api/models/search?max_cost=1e3", "max_cost", 'The query parameter "max_cost" has to be a number of 0 or more, not "1e3".'],
    ["/api/models/search?provider=sim", "provider", 'There is no query parameter "provider"; known are q or max_cost.'],
  ])("%s is refused", async (path, param, message) => {
    const error = await get(path).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(GatewayError);
    expect(error).toMatchObject({ code: "invalid_request", status: 400, param, message });
  });
});

describe("GET /v1/models", () => {
  it("lists aliases first, then provider/model, as OpenAI does", () => {
    expect(openAiModelList(catalogue)).toEqual({
      object: "list",
      data: [
        { id: "fast", object: "model", created: 0, owned_by: "headgate" },
        { id: "sim/small", object: "model", created: 0, owned_by: "sim" },
        { id: "sim/vectors", object: "model", created: 0, owned_by: "sim" },
        { id: "other/org/large", object: "model", created: 0, owned_by: "other" },
        { id: "other/free-form", object: "model", created: 0, owned_by: "other" },
      ],
    });
  });
});

import { Ajv } from "ajv";
import { bind, type ChatChunk, type ChatReply, type EmbeddingsReply, Random, type UpstreamBody } from "headgate";
import { FAKE_TOKENS, FakeRandom, fakeServices, startGateway } from "headgate/testing";
import { describe, expect, it } from "vitest";
import { pieces } from "./simulator/prose.ts";
import { simulator } from "./simulator.ts";

type Options = NonNullable<Parameters<typeof simulator>[0]>;

function boot(options: Options = {}, random: number | readonly number[] = 1) {
  const { definition, options: given } = simulator({ speed: 0, ...options });
  const { scope, clock } = fakeServices([bind(Random, new FakeRandom(random))]);
  const provider = definition.setup(definition.options.parse(given), scope.inject(definition.inject ?? {}));
  const post = async (path: string, body: object | string) => {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const response = await provider.send?.({ method: "POST", url: provider.baseUrl + path, headers: {}, body: text });
    if (!response) throw new Error("the simulator does not send");
    return response;
  };
  const ask = async <T>(path: string, body: object): Promise<{ status: number; json: T }> => {
    const response = await post(path, body);
    return { status: response.status, json: JSON.parse(await clock.runUntil(readAll(response.body))) };
  };
  const chat = async (body: object) => (await ask<ChatReply>("/chat/completions", { ...HELLO, ...body })).json;
  const stream = async (body: object) => {
    const response = await post("/chat/completions", { ...HELLO, ...body, stream: true });
    return chunksOf(await clock.runUntil(readAll(response.body)));
  };
  return { provider, clock, post, ask, chat, stream };
}

const HELLO = { model: "sim-small", messages: [{ role: "user", content: "How do I learn to juggle?" }] };
const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: {
      type: "object",
      properties: { city: { type: "string", minLength: 3 }, unit: { enum: ["celsius", "fahrenheit"] } },
      required: ["city", "unit"],
      additionalProperties: false,
    },
  },
};
const TIME = { type: "function", function: { name: "get-time", parameters: { type: "object", properties: { zone: { type: "string" } } } } };

async function readAll(body: UpstreamBody): Promise<string> {
  let text = "";
  for (let piece = await body.read(); piece; piece = await body.read()) text += piece;
  return text;
}

function chunksOf(text: string): ChatChunk[] {
  const frames = text.split("\n\n");
  expect(frames.pop()).toBe("");
  expect(frames.pop()).toBe("data: [DONE]");
  return frames.map((frame) => JSON.parse(frame.slice("data: ".length)));
}

function join(chunks: readonly ChatChunk[], field: "content" | "reasoning_content" = "content"): string {
  return chunks.map((chunk) => chunk.choices[0]?.delta[field] ?? "").join("");
}

describe("simulator", () => {
  it("answers the same request with the same words, about what was asked, streamed or not", async () => {
    const { chat, stream } = boot();
    const first = await chat({});
    const again = await boot().chat({});
    const text = first.choices[0]?.message.content ?? "";
    expect(text).toContain("How do I learn to juggle?");
    expect(text).toContain("sim-small");
    expect(again.choices).toEqual(first.choices);
    expect(join(await stream({}))).toBe(text);
    expect((await chat({ messages: [{ role: "user", content: "And to knit?" }] })).choices).not.toEqual(first.choices);
    expect(first.id).not.toBe((await chat({})).id);
  });

  it("streams as OpenAI does: the role first, usage only when asked, the terminator last", async () => {
    const { stream, chat } = boot();
    const plain = await stream({});
    expect(plain[0]?.choices[0]).toMatchObject({ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null });
    expect(plain.at(-1)?.choices[0]).toMatchObject({ delta: {}, finish_reason: "stop" });
    expect(plain.some((chunk) => "usage" in chunk)).toBe(false);

    const counted = await stream({ stream_options: { include_usage: true } });
    expect(counted.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
    expect(counted.at(-1)).toMatchObject({ choices: [], usage: (await chat({})).usage });
    expect(new Set(counted.map(({ id, created, model }) => `${id} ${created} ${model}`)).size).toBe(1);
  });

  it("states the tokens it used: the prompt as counted, one for each piece it sent", async () => {
    const { chat, stream } = boot();
    const { usage, choices } = await chat({});
    const prompt = FAKE_TOKENS.request(HELLO as never).tokens;
    const sent = (await stream({})).filter((chunk) => chunk.choices[0]?.delta.content).length;
    expect(usage).toMatchObject({ prompt_tokens: prompt, completion_tokens: sent, total_tokens: prompt + sent });
    expect(pieces(choices[0]?.message.content ?? "")).toHaveLength(sent);
  });

  it("stops at max_tokens, at a stop sequence, and gives as many choices as asked for", async () => {
    const { chat } = boot();
    const whole = (await chat({})).choices[0]?.message.content ?? "";
    const short = await chat({ max_tokens: 5 });
    expect(short.choices[0]?.finish_reason).toBe("length");
    expect(short.usage?.completion_tokens).toBe(5);
    expect(whole.startsWith(short.choices[0]?.message.content ?? "-")).toBe(true);

    const stopped = await chat({ stop: ["never said", "juggle"] });
    expect(stopped.choices[0]).toMatchObject({ finish_reason: "stop", message: { content: whole.slice(0, whole.indexOf("juggle")) } });

    const several = await chat({ n: 3 });
    expect(several.choices.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(several.choices[0]?.message.content).toBe(whole);
    expect(new Set(several.choices.map(({ message }) => message.content)).size).toBeGreaterThan(1);
  });

  it("calls the tools that it has to call, with arguments that fit their schemas", async () => {
    const { chat, stream } = boot();
    const ajv = new Ajv({ strict: false });
    const named = await chat({ tools: [TIME, WEATHER], tool_choice: { type: "function", function: { name: "get_weather" } } });
    const [call] = named.choices[0]?.message.tool_calls ?? [];
    expect(named.choices[0]).toMatchObject({ finish_reason: "tool_calls", message: { content: null } });
    expect(call?.function.name).toBe("get_weather");
    expect(ajv.validate(WEATHER.function.parameters, JSON.parse(call?.function.arguments ?? ""))).toBe(true);

    const messages = [{ role: "user", content: "Use get_weather, then Get Time." }];
    const both = { messages, tools: [TIME, WEATHER], tool_choice: "required" };
    const parallel = (await chat(both)).choices[0]?.message.tool_calls ?? [];
    expect(parallel.map((each) => each.function.name)).toEqual(["get-time", "get_weather"]);
    expect(new Set(parallel.map((each) => each.id)).size).toBe(2);
    expect((await chat({ ...both, parallel_tool_calls: false })).choices[0]?.message.tool_calls).toHaveLength(1);
    expect((await chat({ ...both, messages: HELLO.messages })).choices[0]?.message.tool_calls).toHaveLength(1);
    expect((await chat({ tools: [TIME, WEATHER] })).choices[0]?.message.tool_calls).toBeUndefined();

    const deltas = (await stream(both)).flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []);
    const joined = parallel.map((each, index) => ({
      ...each,
      function: {
        name: each.function.name,
        arguments: deltas
          .filter((delta) => delta.index === index)
          .map((delta) => delta.function?.arguments ?? "")
          .join(""),
      },
    }));
    expect(joined).toEqual(parallel);
  });

  it("answers in JSON when told to, and in the shape of a schema", async () => {
    const { chat } = boot();
    const object = await chat({ response_format: { type: "json_object" } });
    expect(JSON.parse(object.choices[0]?.message.content ?? "")).toMatchObject({ topic: "How do I learn to juggle?" });
    const schema = {
      type: "object",
      properties: { steps: { type: "array", items: { type: "string" }, minItems: 3 } },
      required: ["steps"],
    };
    const shaped = await chat({ response_format: { type: "json_schema", json_schema: { name: "plan", schema } } });
    const value = JSON.parse(shaped.choices[0]?.message.content ?? "");
    expect(value.steps.length).toBeGreaterThanOrEqual(3);
  });

  it("thinks before it speaks, where the model reasons", async () => {
    const { chat, stream } = boot();
    const reply = await chat({ model: "sim-reasoner" });
    const thought = reply.choices[0]?.message.reasoning_content ?? "";
    expect(thought).not.toBe("");
    expect(reply.usage?.completion_tokens_details?.reasoning_tokens).toBe(pieces(thought).length);
    expect(join(await stream({ model: "sim-reasoner" }), "reasoning_content")).toBe(thought);
    const quick = await chat({ model: "sim-reasoner", reasoning_effort: "none" });
    expect(quick.usage?.completion_tokens_details?.reasoning_tokens).toBe(0);
  });

  it("embeds into unit vectors, alike for like texts, as floats or base64", async () => {
    const { ask } = boot();
    const embed = async (body: object) => (await ask<EmbeddingsReply>("/embeddings", { model: "sim-embed", ...body })).json;
    const input = ["How do I learn to juggle?", "how can I learn juggling", "The train to Basel is late"];
    const { data, usage } = await embed({ input });
    const [juggle, juggling, train] = data.map(({ embedding }) => embedding as number[]);
    const dot = (a: number[] = [], b: number[] = []) => a.reduce((sum, part, index) => sum + part * (b[index] ?? 0), 0);
    expect(dot(juggle, juggle)).toBeCloseTo(1, 5);
    expect(dot(juggle, juggling)).toBeGreaterThan(dot(juggle, train) + 0.2);
    expect(usage.prompt_tokens).toBe(input.reduce((sum, text) => sum + FAKE_TOKENS.text(text).tokens, 0));

    const packed = await embed({ input: input[0], dimensions: 64, encoding_format: "base64" });
    const bytes = Buffer.from(packed.data[0]?.embedding as string, "base64");
    const plain = (await embed({ input: input[0], dimensions: 64 })).data[0]?.embedding as number[];
    expect(plain).toHaveLength(64);
    expect(plain.map((_, index) => bytes.readFloatLE(index * 4))).toEqual(plain);
    expect((await embed({ input: [[1, 2], [3]] })).usage.prompt_tokens).toBe(3);
  });

  it.each([
    ["/chat/completions", { model: "gpt-9" }, 404, "model", "model_not_found"],
    ["/chat/completions", { model: "sim-embed" }, 400, "model", "unsupported_operation"],
    ["/chat/completions", { n: 0 }, 400, "n", null],
    ["/chat/completions", { max_tokens: -1 }, 400, "max_tokens", null],
    ["/chat/completions", { messages: [] }, 400, "messages", null],
    ["/chat/completions", { tool_choice: "required" }, 400, "tool_choice", null],
    [
      "/chat/completions",
      { model: "sim-nano", messages: [{ role: "user", content: "x".repeat(80_000) }] },
      400,
      "messages",
      "context_length_exceeded",
    ],
    ["/embeddings", { model: "sim-embed", input: [] }, 400, "input", null],
    ["/images", {}, 404, null, null],
  ])("refuses %s with %o", async (path, body, status, param, code) => {
    const answer = await boot().ask(path, { ...HELLO, ...body });
    expect(answer).toMatchObject({ status, json: { error: { type: "invalid_request_error", message: expect.any(String), param, code } } });
  });

  it("keeps its pace: the first token after the model's latency, each further one in its turn", async () => {
    const { post, clock } = boot({ speed: 1, latencyMs: 500 });
    const { body } = await post("/chat/completions", { ...HELLO, stream: true });
    await clock.runUntil(body.read());
    expect(clock.monotonic()).toBe(500);
    await clock.runUntil(body.read());
    expect(clock.monotonic()).toBe(505);
    await clock.advance(1_000);
    // A slow reader holds the model back; nothing was made in the meantime.
    await clock.runUntil(body.read());
    expect(clock.monotonic()).toBe(1_505);
    await clock.runUntil(body.read());
    expect(clock.monotonic()).toBe(1_510);
    body.destroy();
  });

  it("takes as long for a whole answer as for a streamed one", async () => {
    const { chat, clock } = boot({ speed: 2 });
    const { usage } = await chat({});
    expect(clock.monotonic()).toBeCloseTo(120 + ((usage?.completion_tokens ?? 0) * 1_000) / 400, 0);
  });

  it("stops at once when its body is destroyed, and leaves no timer", async () => {
    const { post, clock } = boot({ speed: 1 });
    const { body } = await post("/chat/completions", { ...HELLO, stream: true });
    const reading = body.read();
    expect(clock.pending).toBe(1);
    body.destroy();
    await expect(reading).rejects.toMatchObject({ code: "client_closed" });
    await expect(body.read()).rejects.toMatchObject({ code: "client_closed" });
    expect(clock.pending).toBe(0);
  });

  it("fails as often as it is told to, in the order that chance decides", async () => {
    const failures = { errors: 0.25, errorStatus: 429, cuts: 0.25, cutAfter: 2, hangs: 0.25 };
    const { post, clock } = boot({ failures }, [0.1, 0.3, 0.6, 0.9]);
    const streamed = { ...HELLO, stream: true };
    expect((await post("/chat/completions", streamed)).status).toBe(429);

    const broken = (await post("/chat/completions", streamed)).body;
    expect([await broken.read(), await broken.read()]).toHaveLength(2);
    await expect(broken.read()).rejects.toMatchObject({ code: "upstream_cut" });

    const silent = (await post("/chat/completions", streamed)).body;
    const reading = silent.read();
    await clock.advance(3_600_000);
    silent.destroy();
    await expect(reading).rejects.toMatchObject({ code: "client_closed" });

    expect(chunksOf(await readAll((await post("/chat/completions", streamed)).body)).length).toBeGreaterThan(3);
  });

  it("refuses options that make no sense", () => {
    const { definition } = simulator();
    for (const options of [{ speeed: 1 }, { speed: -1 }, { failures: { errors: 0.9, cuts: 0.2 } }, { failures: { errorStatus: 200 } }]) {
      expect(definition.options.safeParse(options).success).toBe(false);
    }
  });

  it("lists models of different price, tier and ability, and nothing of its own inner workings", () => {
    const { provider } = boot({ name: "sim" });
    expect(provider.name).toBe("sim");
    const models = provider.models ?? [];
    expect(new Set(models.map(({ price }) => price?.output)).size).toBe(models.length);
    expect(Object.keys(models[0] ?? {}).sort()).toEqual(["capabilities", "contextLength", "id", "maxOutput", "name", "price", "tier"]);
  });
});

describe("simulator behind a gateway", () => {
  it("is what a client gets its stream from, every token of it", async () => {
    const { url, stop } = await startGateway({ providers: [simulator({ speed: 0 })], plugins: [] });
    try {
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ ...HELLO, model: "simulator/sim-small", stream: true, stream_options: { include_usage: true } }),
      });
      const chunks = chunksOf(await response.text());
      expect(join(chunks)).toBe((await boot().chat({})).choices[0]?.message.content);
      expect(chunks.at(-1)?.usage?.completion_tokens).toBe(pieces(join(chunks)).length);
    } finally {
      await stop();
    }
  });
});

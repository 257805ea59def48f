import { simulator } from "headgate/providers";
import { answerIn, framesIn, json, replyIn, sse } from "headgate/testing";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";
import type { ChatCompletionChunk, ChatCompletionCreateParamsNonStreaming } from "openai/resources/chat/completions";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { lastSent, type Provider, type Rig, startRig } from "./rig.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({ providers: [simulator({ speed: 0 })], models: { fast: ["openai-chat/m"] } });
});
afterAll(() => rig.stop());

const ASK: ChatCompletionCreateParamsNonStreaming = { model: "fast", messages: [{ role: "user", content: "How do I juggle?" }] };
const SIMULATED = { ...ASK, model: "simulator/sim-small" };

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

function textOf(chunks: readonly ChatCompletionChunk[]): string {
  return chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("");
}

describe("the openai client", () => {
  it("gets a provider's answer as it was, with fields that the gateway does not know", async () => {
    const reply = { ...replyIn("openai-chat", { text: "Start with one ball." }), system_fingerprint: "fp_1", surprise: { a: 1 } };
    rig.upstream.next(json(reply));
    const { data, request_id, response } = await rig.openai.chat.completions.create({ ...ASK, surprise: true } as never).withResponse();
    expect(data).toEqual(reply);
    expect(lastSent(rig)).toEqual({ ...ASK, model: "m", surprise: true });
    expect(request_id).toMatch(/^req_/);
    expect(response.headers.get("x-headgate-provider")).toBe("openai-chat");
    expect(response.headers.get("x-headgate-attempts")).toBe("1");
  });

  it("streams without usage unless it asked, although the gateway always asks", async () => {
    rig.upstream.always(answerIn("openai-chat", { text: ["Start ", "with ", "one."] }));
    const chunks = await collect(await rig.openai.chat.completions.create({ ...ASK, stream: true }));
    expect(textOf(chunks)).toBe("Start with one.");
    expect(chunks.every(({ usage, choices }) => !usage && choices.length === 1)).toBe(true);
    expect(lastSent(rig)).toMatchObject({ stream_options: { include_usage: true } });

    const options = { stream: true, stream_options: { include_usage: true } } as const;
    const counted = await collect(await rig.openai.chat.completions.create({ ...ASK, ...options }));
    expect(textOf(counted)).toBe("Start with one.");
    expect(counted.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 10, completion_tokens: 3 } });
  });

  it.each<Provider>(["openai-chat", "anthropic-messages", "cohere"])(
    "gets calls streamed in pieces from %s, each under its index",
    async (provider) => {
      const toolCalls = [
        { id: "call_1", name: "get_weather", arguments: { city: "Bern", days: [1, 2, 3] } },
        { id: "call_2", name: "get_time", arguments: { city: "Rome" } },
      ];
      rig.upstream.next(sse(framesIn(provider, { toolCalls })));
      const chunks = await collect(await rig.openai.chat.completions.create({ ...ASK, model: `${provider}/m`, stream: true }));
      const deltas = chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? []);
      expect(deltas.filter(({ id }) => id).map(({ index, id, function: called }) => [index, id, called?.name])).toEqual([
        [0, "call_1", "get_weather"],
        [1, "call_2", "get_time"],
      ]);
      const pieces = (index: number) => deltas.filter((delta) => delta.index === index).map((delta) => delta.function?.arguments ?? "");
      expect(pieces(0).filter(Boolean).length).toBeGreaterThan(1);
      expect([0, 1].map((index) => JSON.parse(pieces(index).join("")))).toEqual(toolCalls.map((call) => call.arguments));
      expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe("tool_calls");
    },
  );

  it("runs its tools: two calls at once, their results back, and the answer", async () => {
    rig.upstream.next(
      answerIn("anthropic-messages", {
        toolCalls: ["Bern", "Rome"].map((city) => ({ id: `call_${city}`, name: "get_weather", arguments: { city } })),
      }),
      answerIn("anthropic-messages", { text: "Sunny in both." }),
    );
    const asked: string[] = [];
    const getWeather = zodFunction({
      name: "get_weather",
      parameters: z.object({ city: z.string() }),
      function: ({ city }) => {
        asked.push(city);
        return `sunny in ${city}`;
      },
    });
    const runner = rig.openai.chat.completions.runTools({ ...ASK, model: "anthropic-messages/m", stream: true, tools: [getWeather] });
    expect(await runner.finalContent()).toBe("Sunny in both.");
    expect(asked).toEqual(["Bern", "Rome"]);
    expect(lastSent(rig)).toMatchObject({
      messages: [
        { role: "user" },
        {
          role: "assistant",
          content: [
            { type: "tool_use", id: "call_Bern" },
            { type: "tool_use", id: "call_Rome" },
          ],
        },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "call_Bern", content: "sunny in Bern" },
            { type: "tool_result", tool_use_id: "call_Rome", content: "sunny in Rome" },
          ],
        },
      ],
    });
  });

  it("parses an answer by its zod schema, whole and streamed, from the simulator", async () => {
    const Plan = z.object({ title: z.string(), steps: z.array(z.string()), days: z.number().int() });
    const ask = { ...SIMULATED, response_format: zodResponseFormat(Plan, "plan") };
    const whole = await rig.openai.chat.completions.parse(ask);
    expect(Plan.parse(whole.choices[0]?.message.parsed)).toEqual(whole.choices[0]?.message.parsed);
    const streamed = await rig.openai.chat.completions.stream({ ...ask, stream: true }).finalChatCompletion();
    expect(streamed.choices[0]?.message.parsed).toEqual(whole.choices[0]?.message.parsed);
  });

  it("parses an answer by its zod schema from a provider that takes schemas in its own way", async () => {
    rig.upstream.next(answerIn("gemini", { text: '{"name":"Ann"}' }));
    const format = zodResponseFormat(z.object({ name: z.string() }), "person");
    const parsed = await rig.openai.chat.completions.parse({ ...ASK, model: "gemini/m", response_format: format });
    expect(parsed.choices[0]?.message.parsed).toEqual({ name: "Ann" });
    expect(lastSent(rig)).toMatchObject({
      generationConfig: { responseMimeType: "application/json", responseJsonSchema: { type: "object", required: ["name"] } },
    });
  });

  it("talks to the simulator: the same words whole and streamed, tools when forced", async () => {
    const whole = await rig.openai.chat.completions.create(SIMULATED);
    const streamed = await collect(await rig.openai.chat.completions.create({ ...SIMULATED, stream: true }));
    expect(textOf(streamed)).toBe(whole.choices[0]?.message.content);
    const tools = [zodFunction({ name: "get_weather", parameters: z.object({ city: z.string() }) })];
    const called = await rig.openai.chat.completions.parse({ ...SIMULATED, tools, tool_choice: "required" });
    const args = { city: expect.any(String) };
    expect(called.choices[0]?.message.tool_calls).toMatchObject([{ function: { name: "get_weather", parsed_arguments: args } }]);
  });

  it("lists the models it may ask for, aliases included", async () => {
    const models = await collect(rig.openai.models.list());
    expect(models.map(({ id }) => id)).toEqual(expect.arrayContaining(["fast", "openai-chat/m", "gemini/m", "simulator/sim-small"]));
    expect(models.every(({ object }) => object === "model")).toBe(true);
  });
});

describe("embeddings", () => {
  const VECTORS = [
    [0.25, -0.5, 1],
    [1, 0, 0.125],
  ];
  const input = ["one", "two"];

  it.each([
    {
      provider: "openai-chat",
      reply: {
        object: "list",
        data: VECTORS.map((embedding, index) => ({ object: "embedding", index, embedding })),
        model: "embed",
        usage: { prompt_tokens: 2, total_tokens: 2 },
      },
      path: "/v1/embeddings",
      sent: { model: "embed", input, dimensions: 3, encoding_format: "float" },
      tokens: 2,
    },
    {
      provider: "gemini",
      reply: { embeddings: VECTORS.map((values) => ({ values })) },
      path: "/v1beta/models/embed:batchEmbedContents",
      sent: { requests: input.map((text) => ({ model: "models/embed", content: { parts: [{ text }] }, outputDimensionality: 3 })) },
      tokens: 0,
    },
    {
      provider: "cohere",
      reply: { id: "e1", embeddings: { float: VECTORS }, texts: input, meta: { billed_units: { input_tokens: 2 } } },
      path: "/v2/embed",
      sent: { model: "embed", texts: input, input_type: "search_document", embedding_types: ["float"], output_dimension: 3 },
      tokens: 2,
    },
  ])("come from $provider", async ({ provider, reply, path, sent, tokens }) => {
    rig.upstream.next(json(reply));
    const { data, usage } = await rig.openai.embeddings.create({
      model: `${provider}/embed`,
      input,
      dimensions: 3,
      encoding_format: "float",
    });
    expect(data.map(({ embedding }) => embedding)).toEqual(VECTORS);
    expect(usage.prompt_tokens).toBe(tokens);
    expect(rig.upstream.calls.at(-1)?.path).toBe(path);
    expect(lastSent(rig)).toEqual(sent);
  });

  it("come packed when the client asks for that, as it does by itself", async () => {
    rig.upstream.next(json({ embeddings: VECTORS.map((values) => ({ values })) }));
    const { data } = await rig.openai.embeddings.create({ model: "gemini/embed", input });
    expect(data.map(({ embedding }) => embedding)).toEqual(VECTORS);
  });

  it("come from the simulator, alike for like texts", async () => {
    const { data } = await rig.openai.embeddings.create({
      model: "simulator/sim-embed",
      input: ["how to juggle", "how do I juggle", "tax law"],
    });
    const dot = (a: number, b: number) =>
      (data[a]?.embedding ?? []).reduce((sum, value, index) => sum + value * (data[b]?.embedding[index] ?? 0), 0);
    expect(dot(0, 1)).toBeGreaterThan(dot(0, 2));
  });

  it("are refused where the provider has none", async () => {
    const asked = rig.openai.embeddings.create({ model: "anthropic-messages/m", input });
    await expect(asked).rejects.toMatchObject({ status: 400, code: "unsupported_operation" });
  });
});

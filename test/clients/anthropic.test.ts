import { betaZodTool } from "@anthropic-ai/sdk/helpers/beta/zod";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import type { MessageCreateParamsNonStreaming, MessageStreamEvent } from "@anthropic-ai/sdk/resources/messages";
import { simulator } from "headgate/providers";
import { answerIn, framesIn, json, replyIn, sse } from "headgate/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { lastSent, PROVIDERS, type Rig, startRig } from "./rig.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({ providers: [simulator({ speed: 0 })], models: { fast: ["anthropic-messages/m"] } });
});
afterAll(() => rig.stop());

const ASK: MessageCreateParamsNonStreaming = { model: "fast", max_tokens: 500, messages: [{ role: "user", content: "How do I juggle?" }] };
const SIMULATED = { ...ASK, model: "simulator/sim-small" };

describe("the anthropic client", () => {
  it("gets a provider's answer as it was, with fields and blocks that the gateway does not know", async () => {
    const reply = replyIn("anthropic-messages", { text: "Start with one ball." }) as { content: object[] };
    const extended = { ...reply, content: [...reply.content, { type: "surprise", a: 1 }], container: null };
    rig.upstream.next(json(extended));
    const { data, request_id } = await rig.anthropic.messages.create({ ...ASK, context_management: { edits: [] } } as never).withResponse();
    expect(data).toEqual(extended);
    expect(lastSent(rig)).toEqual({ ...ASK, model: "m", context_management: { edits: [] } });
    expect(request_id).toMatch(/^req_/);
  });

  it("passes beta features on, and is served on the beta route", async () => {
    rig.upstream.next(answerIn("anthropic-messages", { text: "Yes." }));
    const message = await rig.anthropic.beta.messages.create({ ...ASK, betas: ["context-1m-2025-08-07"] });
    expect(message.content).toEqual([{ type: "text", text: "Yes." }]);
    expect(rig.upstream.calls.at(-1)?.headers["anthropic-beta"]).toBe("context-1m-2025-08-07");
    expect(rig.upstream.calls.at(-1)?.headers["x-api-key"]).toBeUndefined();
  });

  it.each(PROVIDERS)("streams Anthropic's events in their order, whatever %s sends", async (provider) => {
    rig.upstream.next(
      sse(
        framesIn(provider, {
          reasoning: "Hm.",
          text: ["One ", "ball."],
          toolCalls: [{ id: "call_1", name: "buy", arguments: { item: "ball", count: 1 } }],
        }),
      ),
    );
    const events: MessageStreamEvent[] = [];
    for await (const event of await rig.anthropic.messages.create({ ...ASK, model: `${provider}/m`, stream: true })) events.push(event);
    const told = events.map(({ type }) => type).filter((type) => (type as string) !== "ping");
    expect(told.join(" ")).toMatch(
      /^message_start( content_block_start( content_block_delta)+ content_block_stop){3} message_delta message_stop$/,
    );
    const starts = events.flatMap((event) => (event.type === "content_block_start" ? [[event.index, event.content_block.type]] : []));
    expect(starts).toEqual([
      [0, "thinking"],
      [1, "text"],
      [2, "tool_use"],
    ]);
    const input = events.flatMap((event) =>
      event.type === "content_block_delta" && event.delta.type === "input_json_delta" ? [event.delta.partial_json] : [],
    );
    expect(JSON.parse(input.join(""))).toEqual({ item: "ball", count: 1 });
    expect(events.at(-2)).toMatchObject({ delta: { stop_reason: "tool_use" }, usage: { output_tokens: expect.any(Number) } });
  });

  it("runs its tools: two calls at once, their results back, and the answer", async () => {
    rig.upstream.next(
      answerIn("openai-chat", {
        toolCalls: ["Bern", "Rome"].map((city) => ({ id: `call_${city}`, name: "get_weather", arguments: { city } })),
      }),
      answerIn("openai-chat", { text: "Sunny in both." }),
    );
    const asked: string[] = [];
    const getWeather = betaZodTool({
      name: "get_weather",
      description: "Weather in a city",
      inputSchema: z.object({ city: z.string() }),
      run: ({ city }) => {
        asked.push(city);
        return `sunny in ${city}`;
      },
    });
    const final = await rig.anthropic.beta.messages.toolRunner({
      ...ASK,
      model: "openai-chat/m",
      stream: true,
      tools: [getWeather],
      thread: false,
    });
    expect(final.content).toMatchObject([{ type: "text", text: "Sunny in both." }]);
    expect(asked).toEqual(["Bern", "Rome"]);
    expect(lastSent(rig)).toMatchObject({
      messages: [
        { role: "user" },
        { role: "assistant", tool_calls: [{ id: "call_Bern" }, { id: "call_Rome" }] },
        { role: "tool", tool_call_id: "call_Bern", content: "sunny in Bern" },
        { role: "tool", tool_call_id: "call_Rome", content: "sunny in Rome" },
      ],
    });
  });

  it("is told so when it would leave the conversation with a provider that keeps none", async () => {
    const asked = rig.anthropic.beta.messages.create({ ...ASK, model: "openai-chat/m", thread: { type: "create" } });
    await expect(asked).rejects.toMatchObject({ status: 400, message: expect.stringContaining("thread") });
  });

  it("parses an answer by its zod schema, whole and streamed, from the simulator", async () => {
    const Plan = z.object({ title: z.string(), steps: z.array(z.string()) });
    const ask = { ...SIMULATED, output_config: { format: zodOutputFormat(Plan) } };
    const whole = await rig.anthropic.messages.parse(ask);
    expect(Plan.parse(whole.parsed_output)).toEqual(whole.parsed_output);
    const streamed = await rig.anthropic.messages.stream(ask).finalMessage();
    expect(streamed.parsed_output).toEqual(whole.parsed_output);
  });

  it("talks to the simulator: the same words whole and streamed, thoughts where the model reasons", async () => {
    const whole = await rig.anthropic.messages.create(SIMULATED);
    const streamed = await rig.anthropic.messages.stream(SIMULATED).finalMessage();
    expect(streamed.content).toEqual(whole.content);
    expect(streamed.usage.output_tokens).toBe(whole.usage.output_tokens);
    const reasoned = await rig.anthropic.messages.stream({ ...ASK, max_tokens: 2000, model: "simulator/sim-reasoner" }).finalMessage();
    expect(reasoned.content.map(({ type }) => type)).toEqual(["thinking", "text"]);
  });

  it("hands Gemini's calls back to a Gemini that demands signatures", async () => {
    rig.upstream.next(
      json({
        candidates: [
          {
            content: { role: "model", parts: [{ functionCall: { name: "now", args: {} }, thoughtSignature: "R2VtaW5p" }] },
            finishReason: "STOP",
          },
        ],
        usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1 },
      }),
      answerIn("gemini", { text: "10:15" }),
    );
    const ask = { ...ASK, model: "gemini/gemini-3-pro-preview" };
    const first = await rig.anthropic.messages.create(ask);
    const [call] = first.content;
    if (call?.type !== "tool_use") throw new Error("no call");
    const result = { type: "tool_result", tool_use_id: call.id, content: "10:15" } as const;
    await rig.anthropic.messages.create({
      ...ask,
      messages: [...ask.messages, { role: "assistant", content: first.content }, { role: "user", content: [result] }],
    });
    // Anthropic's form has no place for the signature; Gemini takes this in its stead.
    expect(lastSent(rig)).toMatchObject({
      contents: [{}, { parts: [{ functionCall: { name: "now" }, thoughtSignature: "skip_thought_signature_validator" }] }, {}],
    });
  });

  it("can read the list of models", async () => {
    const ids: string[] = [];
    for await (const { id } of rig.anthropic.models.list()) ids.push(id);
    expect(ids).toEqual(expect.arrayContaining(["fast", "anthropic-messages/m"]));
  });
});

describe("counting tokens", () => {
  const count = (model: string) => rig.anthropic.messages.countTokens({ model, system: "Be brief.", messages: ASK.messages });

  it("is asked of a provider that counts", async () => {
    rig.upstream.next(json({ input_tokens: 17 }), json({ totalTokens: 18 }));
    expect(await count("fast")).toEqual({ input_tokens: 17 });
    expect(rig.upstream.calls.at(-1)?.path).toBe("/v1/messages/count_tokens");
    expect(lastSent(rig)).toEqual({ model: "m", system: "Be brief.", messages: ASK.messages });

    expect(await count("gemini/m")).toEqual({ input_tokens: 18 });
    expect(rig.upstream.calls.at(-1)?.path).toBe("/v1beta/models/m:countTokens");
    expect(lastSent(rig)).toEqual({
      generateContentRequest: {
        model: "models/m",
        systemInstruction: { parts: [{ text: "Be brief." }] },
        contents: [{ role: "user", parts: [{ text: "How do I juggle?" }] }],
        generationConfig: {},
      },
    });
  });

  it.each(["openai-chat/m", "cohere/m", "simulator/sim-small"])("is done here for %s, which does not", async (model) => {
    const before = rig.upstream.calls.length;
    const { input_tokens } = await count(model);
    expect(input_tokens).toBeGreaterThan(5);
    expect(input_tokens).toBeLessThan(40);
    expect(rig.upstream.calls.length).toBe(before);
  });
});

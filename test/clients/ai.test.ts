import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, embedMany, generateText, isStepCount, type LanguageModel, Output, RetryError, streamText, tool } from "ai";
import { simulator } from "headgate/providers";
import { answerIn, forever, framesIn, json, sse } from "headgate/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { lastSent, PROVIDERS, type Rig, startRig } from "./rig.ts";

let rig: Rig;
beforeAll(async () => {
  // The package asks for what it knows a model of this name to take.
  rig = await startRig({ providers: [simulator({ speed: 0 })], models: { "claude-sonnet-4-5": ["gemini/m"] } });
});
afterAll(() => rig.stop());
beforeEach(() => {
  rig.responses.length = 0;
});

const openai = () => createOpenAI({ baseURL: `${rig.gateway.url}/v1`, apiKey: "sk-test", fetch: rig.fetch });
const anthropic = () => createAnthropic({ baseURL: `${rig.gateway.url}/v1`, apiKey: "sk-test", fetch: rig.fetch });

const CLIENTS: readonly (readonly [name: string, model: (id: string) => LanguageModel])[] = [
  ["@ai-sdk/openai", (id) => openai().chat(id)],
  ["@ai-sdk/anthropic", (id) => anthropic()(id)],
];
const prompt = "How do I juggle?";

describe.each(CLIENTS.flatMap(([name, model]) => PROVIDERS.map((provider) => [name, provider, model] as const)))(
  "ai with %s at %s",
  (name, provider, model) => {
    it("generates text, with its usage and the reason it ended", async () => {
      rig.upstream.next(answerIn(provider, { text: "Start with one.", finish: "length" }));
      const { text, usage, finishReason } = await generateText({
        model: model(`${provider}/m`),
        prompt,
        instructions: "Be brief.",
        maxOutputTokens: 50,
      });
      expect(text).toBe("Start with one.");
      expect(usage).toMatchObject({ inputTokens: 10, outputTokens: 3 });
      expect(finishReason).toBe("length");
    });

    it("streams text, thoughts apart where the client knows them", async () => {
      rig.upstream.next(sse(framesIn(provider, { reasoning: "Hm.", text: ["Start ", "with ", "one."] })));
      const result = streamText({ model: model(`${provider}/m`), prompt, maxOutputTokens: 50 });
      const pieces: string[] = [];
      for await (const piece of result.textStream) pieces.push(piece);
      expect(pieces.join("")).toBe("Start with one.");
      expect(await result.finishReason).toBe("stop");
      expect(await result.usage).toMatchObject({ inputTokens: 10, outputTokens: 8 });
      if (name === "@ai-sdk/anthropic") expect(await result.finalStep.then((step) => step.reasoningText)).toBe("Hm.");
    });

    it.each([false, true])("runs two tools at once and goes on with their results (streamed: %s)", async (streamed) => {
      const toolCalls = ["Bern", "Rome"].map((city) => ({
        id: `call_${city}`,
        name: "getWeather",
        arguments: { city, note: "a longer text, to come in pieces" },
      }));
      rig.upstream.next(answerIn(provider, { toolCalls }), answerIn(provider, { text: "Sunny in both." }));
      const asked: string[] = [];
      const getWeather = tool({
        description: "Weather in a city",
        inputSchema: z.object({ city: z.string(), note: z.string() }),
        execute: async ({ city }) => {
          asked.push(city);
          return { sky: "sunny" };
        },
      });
      const call = { model: model(`${provider}/m`), prompt, tools: { getWeather }, stopWhen: isStepCount(3), maxOutputTokens: 50 };
      expect(streamed ? await streamText(call).text : (await generateText(call)).text).toBe("Sunny in both.");
      expect(asked.sort()).toEqual(["Bern", "Rome"]);
      const sent = JSON.stringify(lastSent(rig));
      for (const { id } of toolCalls) expect(sent.split(id).length - 1).toBe(2);
      expect(sent.split("sunny").length - 1).toBe(2);
    });
  },
);

describe.each(CLIENTS)("ai with %s", (name, model) => {
  const own = name === "@ai-sdk/openai" ? "openai-chat" : "anthropic-messages";

  it("gets an object of a schema, whole and streamed, from the simulator", async () => {
    const output = Output.object({ schema: z.object({ title: z.string(), steps: z.array(z.string()) }) });
    const ask = { model: model("simulator/sim-small"), prompt, output };
    const { output: whole } = await generateText(ask);
    expect(whole.steps.every((step) => typeof step === "string")).toBe(true);
    expect(await streamText(ask).output).toEqual(whole);
  });

  it("gets an object of a schema from a provider that takes schemas in its own way", async () => {
    rig.upstream.next(answerIn("gemini", { text: '{"name":"Ann"}' }));
    const output = Output.object({ schema: z.object({ name: z.string() }) });
    const id = name === "@ai-sdk/openai" ? "gemini/m" : "claude-sonnet-4-5";
    expect((await generateText({ model: model(id), prompt, output })).output).toEqual({ name: "Ann" });
    expect(lastSent(rig)).toMatchObject({
      generationConfig: { responseMimeType: "application/json", responseJsonSchema: { required: ["name"] } },
    });
  });

  it("sends pictures", async () => {
    rig.upstream.next(answerIn("gemini", { text: "A dot." }));
    const file = { type: "file", mediaType: "image/png", data: Buffer.from("iVBORw0KGgo=", "base64") } as const;
    await generateText({ model: model("gemini/m"), messages: [{ role: "user", content: [{ type: "text", text: "What?" }, file] }] });
    expect(lastSent(rig)).toMatchObject({
      contents: [{ parts: [{ text: "What?" }, { inlineData: { mimeType: "image/png", data: "iVBORw0KGgo=" } }] }],
    });
  });

  it("tells a refusal that is final from a failure that is not, and tries the latter twice more", async () => {
    const refused = generateText({ model: model("nowhere/m"), prompt });
    await expect(refused).rejects.toSatisfy((error) => APICallError.isInstance(error) && error.statusCode === 404 && !error.isRetryable);
    expect(rig.responses).toHaveLength(1);

    const failure = json(
      { type: "error", error: { type: "overloaded_error", message: "busy" } },
      { status: 503, headers: { "retry-after-ms": "20" } },
    );
    rig.upstream.next(failure, failure, failure);
    const failed = generateText({ model: model(`${own}/m`), prompt });
    await expect(failed).rejects.toSatisfy((error) => RetryError.isInstance(error) && error.errors.length === 3);
    expect(rig.responses.slice(1).map(({ status }) => status)).toEqual([503, 503, 503]);

    rig.upstream.next(failure, answerIn(own, { text: "At last" }));
    expect((await generateText({ model: model(`${own}/m`), prompt })).text).toBe("At last");
  });

  it("reports an answer that broke off, and lets go when it leaves", async () => {
    const frames = framesIn(own, { text: ["One ", "two ", "three"] });
    const begun = frames.slice(0, frames.findIndex((frame) => frame.includes("two ")) + 1);
    rig.upstream.next(sse(begun));
    const errors: unknown[] = [];
    const broken = streamText({ model: model(`${own}/m`), prompt, onError: ({ error }) => void errors.push(error) });
    let text = "";
    for await (const piece of broken.textStream) text += piece;
    expect(text).toBe("One two ");
    expect(errors).toHaveLength(1);

    rig.upstream.next(sse([...begun, forever()]));
    const controller = new AbortController();
    const left = streamText({ model: model(`${own}/m`), prompt, abortSignal: controller.signal });
    for await (const piece of left.textStream) if (piece === "two ") controller.abort();
    expect(await rig.upstream.calls.at(-1)?.closed).toBe("gone");
  });
});

it("ai embeds many texts through the simulator", async () => {
  const { embeddings, usage } = await embedMany({ model: openai().embedding("simulator/sim-embed"), values: ["one", "two", "three"] });
  expect(embeddings).toHaveLength(3);
  expect(embeddings[0]?.length).toBeGreaterThan(10);
  expect(usage.tokens).toBeGreaterThan(0);
});

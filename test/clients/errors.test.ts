import Anthropic from "@anthropic-ai/sdk";
import { GatewayError, type InlinePlugin } from "headgate";
import { answerIn, json } from "headgate/testing";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Rig, startRig } from "./rig.ts";

/** Stands for what later plugins say; which, the client says as its user. */
const refusing: InlinePlugin = {
  name: "refusing",
  async handle({ request }, next) {
    switch (request.user) {
      case "stranger":
        throw new GatewayError("invalid_api_key");
      case "guest":
        throw new GatewayError("permission_denied");
      case "eager":
        throw new GatewayError("rate_limited", { retryAfter: 7 });
      case "spent":
        throw new GatewayError("rate_limited", { message: "The budget is spent.", retry: false });
      case "bug":
        throw new TypeError("secret is not a function");
    }
    await next();
  },
};

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({ plugins: [refusing], server: { limits: { bodyBytes: 4096 } } });
});
afterAll(() => rig.stop());

const HI = [{ role: "user" as const, content: "Hi" }];
const openai = (extra: object = {}, model = "openai-chat/m") => rig.openai.chat.completions.create({ model, messages: HI, ...extra });
const anthropic = (extra: object = {}, model = "anthropic-messages/m") =>
  rig.anthropic.messages.create({ model, max_tokens: 10, messages: HI, ...extra });
const asUser = (user: string) => [{ user }, { metadata: { user_id: user } }] as const;

async function errorOf(asked: Promise<unknown>): Promise<Error & { status: number; headers: Headers; requestID: string; code?: string }> {
  try {
    await asked;
  } catch (error) {
    return error as never;
  }
  throw new Error("it did not fail");
}

describe("what the gateway refuses itself", () => {
  it.each([
    [400, "a field out of range", { temperature: 5 }, { temperature: 5 }, OpenAI.BadRequestError, Anthropic.BadRequestError],
    [401, "a wrong key", ...asUser("stranger"), OpenAI.AuthenticationError, Anthropic.AuthenticationError],
    [403, "what the key may not do", ...asUser("guest"), OpenAI.PermissionDeniedError, Anthropic.PermissionDeniedError],
    [404, "an unknown model", { model: "openai-chat/mm" }, { model: "openai-chat/mm" }, OpenAI.NotFoundError, Anthropic.NotFoundError],
    [
      413,
      "a body over the limit",
      { user: "x".repeat(5000) },
      { metadata: { user_id: "x".repeat(5000) } },
      OpenAI.APIError,
      Anthropic.ContentTooLargeError,
    ],
    [429, "too many requests", ...asUser("eager"), OpenAI.RateLimitError, Anthropic.RateLimitError],
    [500, "a broken plugin", ...asUser("bug"), OpenAI.InternalServerError, Anthropic.InternalServerError],
  ])(
    "%i for %s, with a request id, in each client's own class",
    async (status, _, forOpenAi, forAnthropic, openAiClass, anthropicClass) => {
      for (const [asked, errorClass] of [
        [() => openai(forOpenAi), openAiClass],
        [() => anthropic(forAnthropic), anthropicClass],
      ] as const) {
        const error = await errorOf(asked());
        expect(error).toBeInstanceOf(errorClass);
        expect(error.status).toBe(status);
        expect(error.requestID).toMatch(/^req_/);
        expect(error.message).not.toMatch(/secret|127\.0\.0\.1|\.ts/);
      }
    },
  );

  it("names the field, the code and what was meant", async () => {
    expect(await errorOf(openai({ temperature: 5 }))).toMatchObject({
      param: "temperature",
      code: "invalid_request",
      type: "invalid_request_error",
    });
    expect(await errorOf(openai({ messages: [] }))).toMatchObject({ param: "messages" });
    expect(await errorOf(openai({ messages: [{ role: "user", content: [{ type: "text" }] }] }))).toMatchObject({
      param: "messages[0].content[0].text",
    });
    const unknown = await errorOf(openai({}, "openai-chat/mm"));
    expect(unknown).toMatchObject({ param: "model", code: "model_not_found" });
    expect(unknown.message).toContain("openai-chat/m");
    expect(await errorOf(anthropic({ max_tokens: 0 }))).toMatchObject({
      type: "invalid_request_error",
      message: expect.stringContaining("max_tokens"),
    });
    expect(await errorOf(anthropic({}, "nowhere/m"))).toMatchObject({ type: "not_found_error" });
  });

  it("says how long to wait, or that waiting will not help", async () => {
    for (const eager of [errorOf(openai({ user: "eager" })), errorOf(anthropic({ metadata: { user_id: "eager" } }))]) {
      const { headers } = await eager;
      expect(headers.get("retry-after")).toBe("7");
      expect(headers.get("retry-after-ms")).toBe("7000");
      expect(headers.get("x-should-retry")).toBeNull();
    }
    const { headers } = await errorOf(openai({ user: "spent" }));
    expect(headers.get("x-should-retry")).toBe("false");
    expect(headers.get("retry-after")).toBeNull();
  });
});

describe("what the provider refuses", () => {
  const problem = { error: { message: "nope", type: "invalid_request_error", param: "messages", code: null } };

  it.each([
    [400, 400, OpenAI.BadRequestError, Anthropic.BadRequestError],
    [404, 404, OpenAI.NotFoundError, Anthropic.NotFoundError],
    [409, 409, OpenAI.ConflictError, Anthropic.ConflictError],
    [422, 422, OpenAI.UnprocessableEntityError, Anthropic.UnprocessableEntityError],
    [429, 429, OpenAI.RateLimitError, Anthropic.RateLimitError],
    [500, 502, OpenAI.InternalServerError, Anthropic.InternalServerError],
    [502, 502, OpenAI.InternalServerError, Anthropic.InternalServerError],
    [503, 503, OpenAI.InternalServerError, Anthropic.InternalServerError],
    [529, 503, OpenAI.InternalServerError, Anthropic.InternalServerError],
    // The gateway's own credentials: nothing that the client could mend.
    [401, 502, OpenAI.InternalServerError, Anthropic.InternalServerError],
    [403, 502, OpenAI.InternalServerError, Anthropic.InternalServerError],
  ])("with %i reaches the client as %i", async (theirs, ours, openAiClass, anthropicClass) => {
    rig.upstream.next(json(problem, { status: theirs }), json({ type: "error", ...problem }, { status: theirs }));
    const [first, second] = [await errorOf(openai()), await errorOf(anthropic())];
    expect(first).toBeInstanceOf(openAiClass);
    expect(second).toBeInstanceOf(anthropicClass);
    expect([first.status, second.status]).toEqual([ours, ours]);
    // The provider's own words only where it blames the request.
    expect(first.message.includes("nope")).toBe([400, 404, 409, 422].includes(theirs));
  });

  it.each([
    ["anthropic-messages", { type: "error", error: { type: "invalid_request_error", message: "too long" } }],
    ["gemini", { error: { code: 400, message: "too long", status: "INVALID_ARGUMENT" } }],
    ["cohere", { message: "too long" }],
  ])("reaches the openai client in its own form from %s", async (provider, body) => {
    rig.upstream.next(json(body, { status: 400 }));
    expect(await errorOf(openai({}, `${provider}/m`))).toMatchObject({
      status: 400,
      code: "upstream_rejected",
      error: { message: "too long", type: "invalid_request_error", param: null },
    });
  });

  it("is no answer: a page, half a JSON, another format", async () => {
    for (const script of [
      { headers: { "content-type": "text/html" }, body: "<h1>Bad gateway</h1>" },
      { headers: { "content-type": "application/json" }, body: '{"choices":[' },
    ]) {
      rig.upstream.next(script);
      expect(await errorOf(openai())).toMatchObject({ status: 502, code: "upstream_invalid" });
    }
    rig.upstream.next(answerIn("openai-chat", { text: "Hi" }));
    expect(await errorOf(anthropic({}, "gemini/m"))).toMatchObject({ status: 502, type: "api_error" });
  });
});

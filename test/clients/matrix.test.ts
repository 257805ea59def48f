import Anthropic from "@anthropic-ai/sdk";
import { type Answer, answerIn, json, type Responder, sse } from "headgate/testing";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CASES, type Case } from "./matrix.ts";
import { lastSent, type Provider, type Rig, startRig } from "./rig.ts";
import { OWN_DIALECT, type RawAnswer, type Seen } from "./row.ts";
import { askAnthropic, askOpenAi } from "./views.ts";

const LIMIT = 100;

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig.stop());

describe.each([
  ["whole", false],
  ["streamed", true],
] as const)("%s", (_, streamed) => {
  it.each(CASES.map((each) => [each.client, each.provider, each.row.feature, each] as const))(
    "%s at %s: %s",
    async (_client, provider, _feature, one) => {
      const { row, cell } = one;
      rig.upstream.always(responder(provider, row.answers?.[provider] ?? row.answer ?? { text: "Hello to you" }, streamed));
      const before = rig.upstream.calls.length;

      if (cell.kind === "refused") {
        const error = await ask(one, streamed).then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        expectRefusal(error, one, cell.field);
        expect(rig.upstream.calls.length).toBe(before);
        return;
      }
      if (cell.kind !== "sent") return;

      const seen = await ask(one, streamed);
      expect(lastSent(rig)).toEqual(expectedBody(one, cell.body as object, streamed));
      expect(rig.upstream.calls.at(-1)?.path).toBe(expectedPath(one, streamed));
      expect(rig.responses.at(-1)?.headers.get("x-headgate-dropped")).toBe(cell.dropped.length > 0 ? cell.dropped.join(", ") : null);
      expect(seen).toMatchObject(expectedSeen(one));
    },
  );
});

function responder(provider: Provider, answer: Answer | RawAnswer, streamed: boolean): Responder {
  if (!("reply" in answer)) return answerIn(provider, answer);
  if (!streamed) return json(answer.reply);
  const frames = answer.frames.map((frame) => {
    const event = provider !== "gemini" && "type" in frame ? `event: ${frame.type}\n` : "";
    return `${event}data: ${JSON.stringify(frame)}\n\n`;
  });
  return sse(provider === "openai-chat" ? [...frames, openAiUsage(answer.reply), "data: [DONE]\n\n"] : frames);
}

function openAiUsage(reply: object): string {
  const { usage } = reply as { usage?: unknown };
  return `data: ${JSON.stringify({ id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "m", choices: [], usage })}\n\n`;
}

function modelOf({ row }: Case): string {
  return row.model ?? "m";
}

function ask(one: Case, streamed: boolean): Promise<Seen> {
  const model = `${one.provider}/${modelOf(one)}`;
  const { openai, anthropic } = one.row.asks;
  return one.client === "openai"
    ? askOpenAi(rig.openai, { model, max_tokens: LIMIT, messages: [], ...openai }, streamed)
    : askAnthropic(rig.anthropic, { model, max_tokens: LIMIT, messages: [], ...anthropic }, streamed);
}

function expectRefusal(error: unknown, { client }: Case, field: string): void {
  expect(error).toBeInstanceOf(client === "openai" ? OpenAI.BadRequestError : Anthropic.BadRequestError);
  const message = expect.stringContaining(`"${field}"`);
  const type = "invalid_request_error";
  if (client === "openai") expect(error).toMatchObject({ type, param: field, code: "unsupported_parameter", message });
  else expect(error).toMatchObject({ type, error: { error: { type, message } } });
  expect((error as { headers: Headers }).headers.get("x-should-retry")).toBe("false");
}

/** The whole body: what the row says of it, and what every request has. */
function expectedBody(one: Case, body: object, streamed: boolean): object {
  const model = modelOf(one);
  switch (one.provider) {
    case "gemini": {
      const { generationConfig, ...rest } = body as { generationConfig?: object };
      return { ...rest, generationConfig: { maxOutputTokens: LIMIT, ...generationConfig } };
    }
    case "openai-chat":
      return { model, max_tokens: LIMIT, ...body, ...(streamed && { stream: true, stream_options: { include_usage: true } }) };
    default:
      return { model, max_tokens: LIMIT, ...body, ...(streamed && { stream: true }) };
  }
}

function expectedPath(one: Case, streamed: boolean): string {
  const paths: Record<Provider, string> = {
    "openai-chat": "/v1/chat/completions",
    "anthropic-messages": "/v1/messages",
    gemini: `/v1beta/models/${modelOf(one)}:${streamed ? "streamGenerateContent?alt=sse" : "generateContent"}`,
    cohere: "/v2/chat",
  };
  return paths[one.provider];
}

function expectedSeen({ row, client, provider }: Case): Partial<Seen> {
  if (typeof row.seen === "function") return row.seen(client, provider);
  return row.seen ?? { text: "Hello to you", stop: OWN_DIALECT[client] === "openai-chat" ? "stop" : "end_turn" };
}

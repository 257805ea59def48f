import { type AnswerDialect, json, replyIn, sse } from "headgate/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorBody, expectAnthropic } from "../support/anthropic-schemas.ts";
import { expectOpenAi, hasSpec } from "../support/openai-spec.ts";
import { CLIENTS, type Client, type Received, type RecordedGateway, startRecordedGateway } from "../support/recorded-gateway.ts";

const PROVIDERS = [
  ["openai", "openai-chat"],
  ["anthropic", "anthropic-messages"],
  ["gemini", "gemini"],
  ["cohere", "cohere"],
] as const satisfies [string, AnswerDialect][];

let gateway: RecordedGateway;
beforeAll(async () => {
  gateway = await startRecordedGateway();
});
afterAll(() => gateway.stop());

function expectError(client: Client, { status, text }: Pick<Received, "status" | "text">): void {
  expect(status).toBeGreaterThanOrEqual(400);
  if (client === "openai-chat") expectOpenAi("ErrorResponse", JSON.parse(text));
  else expectAnthropic(ErrorBody, JSON.parse(text));
}

const OpenAi = `OpenAI's description${hasSpec ? "" : " (not compared: ../shared/specs is absent)"}`;

describe(`errors fit ${OpenAi} and the types of Anthropic's SDK`, () => {
  for (const [provider, dialect] of PROVIDERS) {
    it(`${provider}: whatever it answers with`, async () => {
      for (const client of CLIENTS) {
        for (const status of [400, 401, 403, 404, 408, 409, 413, 418, 422, 429, 500, 502, 503, 504, 529]) {
          for (const body of ["", "<html>", "{}", '{"error":{"message":"no","type":"t","code":7,"param":{}},"message":"no"}']) {
            const received = await gateway.ask(client, provider, { status, headers: { "content-type": "application/json" }, body });
            expectError(client, received);
          }
        }
        expectError(client, await gateway.ask(client, provider, sse([]), { stream: true }));
        if (client === dialect) continue;
        expectError(client, await gateway.ask(client, provider, json({})));
        if (provider === "openai") continue;
        const script = json(replyIn(dialect, { text: "Hello" }));
        expectError(client, await gateway.ask(client, provider, script, { body: { made_up: 1 } }));
      }
    });
  }

  it("the gateway's own", async () => {
    const post = (path: string, body: string, type = "application/json") =>
      fetch(gateway.url + path, { method: "POST", headers: { "content-type": type }, body });
    for (const client of CLIENTS) {
      const path = client === "openai-chat" ? "/v1/chat/completions" : "/v1/messages";
      const message = { role: "user", content: "?" };
      const answers = [
        post(path, "{"),
        post(path, "[]"),
        post(path, "{}"),
        post(path, "{}", "text/plain"),
        post(path, `{"x":${"[".repeat(100)}${"]".repeat(100)}}`),
        post(path, " ".repeat(5 * 1024 * 1024)),
        post(path, JSON.stringify({ model: "nothing/at-all", max_tokens: 1, messages: [message] })),
        post(path, JSON.stringify({ model: "openai/x", max_tokens: 1, messages: [{ role: "nobody" }] })),
        fetch(gateway.url + path),
        ...(client === "openai-chat"
          ? [fetch(`${gateway.url}/v1/nowhere`), post("/v1/embeddings", '{"model":"anthropic/x","input":"a"}')]
          : []),
      ];
      for (const response of await Promise.all(answers)) expectError(client, { status: response.status, text: await response.text() });
    }
  });
});

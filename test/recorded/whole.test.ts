import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectAnthropic, expectAnthropicStream, Message } from "../support/anthropic-schemas.ts";
import { expectOpenAi, expectOpenAiStream } from "../support/openai-spec.ts";
import { CLIENTS, type Client, type Received, type RecordedGateway, replay, startRecordedGateway } from "../support/recorded-gateway.ts";
import { allRecordings, hasRecordings, type Recording } from "../support/recordings.ts";
import { eventsIn, type Said, said, toldTo } from "../support/said.ts";

const { replayed, leftOut } = allRecordings();
const chats = replayed.filter(({ operation }) => operation === "chat");
const answers = chats.filter(({ status, name }) => status === 200 && !name.includes("spliced"));
const errors = replayed.filter(({ status }) => status !== 200);

let gateway: RecordedGateway;
let rewriting: RecordedGateway;
beforeAll(async () => {
  gateway = await startRecordedGateway();
  rewriting = await startRecordedGateway({ rewrites: true });
});
afterAll(async () => {
  await gateway.stop();
  await rewriting.stop();
});

const ask = (recording: Recording, client: Client, through = gateway): Promise<Received> => {
  const { script, options } = replay(recording);
  return through.ask(client, recording.provider, script, options);
};

/** What the client was told, with arguments as values. */
function heard(client: Client, { streamed }: Recording, { text }: Received) {
  return comparable(said(client, streamed ? eventsIn(text) : [text]));
}

function comparable(what: Said) {
  return { ...what, calls: what.calls.map(({ args, ...call }) => ({ ...call, args: JSON.parse(args || "{}") as unknown })) };
}

/** What it has to be told; what the provider left out is made up. */
function toHear(client: Client, recording: Recording) {
  const told = comparable(toldTo(client, said(recording.dialect, recording.events)));
  const made = expect.stringMatching(/./) as string;
  return { ...told, id: told.id || made, model: told.model || made, calls: told.calls.map((call) => ({ ...call, id: call.id || made })) };
}

/** A provider's own notes beside its answer, which are passed on as they came: not even OpenAI's and Azure's are as described. */
const NOTES = /,"(?:service_tier|system_fingerprint)":(?:"[^"]*"|null)/g;

/** An answer that the gateway wrote itself says what the recording says, in the client's own form. */
function expectRight(client: Client, recording: Recording, received: Received): void {
  expect(heard(client, recording, received)).toEqual(toHear(client, recording));
  const text = client === recording.dialect ? received.text.replaceAll(NOTES, "") : received.text;
  if (client === "openai-chat" && recording.streamed) expectOpenAiStream(text, { usage: true });
  else if (client === "openai-chat") expectOpenAi("CreateChatCompletionResponse", JSON.parse(text));
  else if (recording.streamed) expectAnthropicStream(text);
  else expectAnthropic(Message, JSON.parse(text));
}

describe.skipIf(!hasRecordings)("a recorded answer (skipped where ../shared/fixtures is absent)", () => {
  for (const [why, count] of leftOut) it.todo(`${count} recordings left out: ${why}`);
  it.todo("DeepSeek: there is no recording of it");

  it("comes from every provider that was recorded", () => {
    const providers = ["openai", "azure", "openaiCompatible", "groq", "mistral", "xai", "anthropic", "gemini", "cohere"];
    expect(new Set(answers.map(({ provider }) => provider))).toEqual(new Set(providers));
    expect(answers.filter(({ streamed }) => streamed).length).toBeGreaterThanOrEqual(30);
  });

  for (const recording of answers) {
    it(recording.name, async () => {
      for (const client of CLIENTS) {
        const received = await ask(recording, client);
        expect(received.status).toBe(200);
        if (client === recording.dialect) expect(received.text).toBe(Buffer.concat(recording.wire).toString());
        else expectRight(client, recording, received);
        expect(received.outcome).toMatchObject({ kind: "complete", status: 200 });
        const { usage } = said(recording.dialect, recording.events);
        if (usage) expect(received.outcome).toMatchObject({ usage, estimated: false });
        else expect(received.outcome.estimated).toBe(true);
      }
    });

    it(`${recording.name}, written anew because a plugin replaced it`, async () => {
      for (const client of CLIENTS) {
        const received = await ask(recording, client, rewriting);
        expectRight(client, recording, received);
        expect(received.outcome.kind).toBe("complete");
      }
    });
  }

  for (const recording of chats.filter(({ dialect, streamed }) => dialect === "openai-chat" && streamed)) {
    it(`${recording.name} without its usage, for a client that did not ask`, async () => {
      const received = await gateway.ask("openai-chat", recording.provider, replay(recording).script, { body: { stream: true } });
      const onlyUsage = (frame: Buffer) => /"choices":\s*\[\]/.test(frame.toString()) && /"usage":\s*\{/.test(frame.toString());
      expect(received.text).toBe(Buffer.concat(recording.wire.filter((frame) => !onlyUsage(frame))).toString());
    });
  }

  for (const recording of errors) {
    it(`${recording.name}: the provider's refusal and its reason`, async () => {
      const { message } = (JSON.parse(recording.events[0] ?? "") as { error: { message: string } }).error;
      for (const client of recording.operation === "chat" ? CLIENTS : (["anthropic-messages"] as const)) {
        const received = await ask(recording, client);
        expect(received.status).toBe(recording.status);
        expect(received.headers["x-should-retry"]).toBe("false");
        const type = recording.status === 404 && client === "anthropic-messages" ? "not_found_error" : "invalid_request_error";
        expect(JSON.parse(received.text)).toMatchObject({ error: { type, message } });
        expect(received.outcome).toMatchObject({ kind: "failed", status: recording.status });
      }
    });
  }

  for (const recording of replayed.filter(({ operation, status }) => operation === "count_tokens" && status === 200)) {
    it(`${recording.name}: a count of tokens`, async () => {
      expect((await ask(recording, "anthropic-messages")).text).toBe(recording.events[0]);
    });
  }

  it("that runs into another one breaks off where the other begins", async () => {
    const spliced = chats.find(({ name }) => name.includes("spliced")) as Recording;
    const begins = spliced.events.findLastIndex((event) => event.includes('"message_start"'));
    const before = Buffer.concat(spliced.wire.slice(0, begins)).toString();
    const received = await ask(spliced, "anthropic-messages");
    expect(received.text.startsWith(before)).toBe(true);
    expect(received.text.slice(before.length)).toMatch(/^event: error\ndata: \{"type":"error",.*\}\n\n$/);
    const translated = await ask(spliced, "openai-chat");
    expect(said("openai-chat", eventsIn(translated.text))).toMatchObject({ reasoning: "I will call the tool.", finish: undefined });
    expect(translated.text).toMatch(/\ndata: \{"error":.*\}\n\n$/);
    expect([received.outcome.kind, translated.outcome.kind]).toEqual(["cut", "cut"]);
  });
});

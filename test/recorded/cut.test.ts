import { type Script, sse } from "headgate/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorBody, expectAnthropic } from "../support/anthropic-schemas.ts";
import { expectOpenAi } from "../support/openai-spec.ts";
import { CLIENTS, type Client, type Received, type RecordedGateway, startRecordedGateway } from "../support/recorded-gateway.ts";
import { allRecordings, hasRecordings, type Recording } from "../support/recordings.ts";
import { eventsIn, type Said, said } from "../support/said.ts";

/** Some of Anthropic's go on for hundreds of events like all the others. */
const LONGEST = 305;
const streams = allRecordings().replayed.filter(
  ({ name, streamed, wire }) => streamed && wire.length <= LONGEST && !name.includes("spliced"),
);

/** How a connection can end. Only the last loses what was not yet read. */
const ENDS: readonly (readonly [how: string, end: Partial<Script>])[] = [
  ["a body that is closed, which looks like a whole one", { framing: "close" }],
  ["a body that misses its last chunk", { end: "fin" }],
  ["a reset", { end: "reset" }],
];

let gateway: RecordedGateway;
beforeAll(async () => {
  gateway = await startRecordedGateway();
});
afterAll(() => gateway.stop());

describe.skipIf(!hasRecordings)("a recorded stream that is cut after any event (skipped where ../shared/fixtures is absent)", () => {
  it("is one of at least 20, from every dialect", () => {
    expect(streams.length).toBeGreaterThanOrEqual(20);
    expect(new Set(streams.map(({ dialect }) => dialect)).size).toBe(4);
  });

  for (const recording of streams) {
    it(`${recording.name}, ${recording.wire.length} times`, async () => {
      for (let count = 0; count < recording.wire.length; count += 1) {
        const wire = recording.wire.slice(0, count);
        await Promise.all(
          CLIENTS.flatMap((client) =>
            ENDS.map(async ([how, end]) => {
              const received = await gateway.ask(client, recording.provider, { ...sse(wire), ...end }, { stream: true });
              expectCut(client, recording, count, received, end.end === "reset", `after ${count} by ${how}`);
            }),
          ),
        );
      }
    });
  }
});

function expectCut(client: Client, recording: Recording, count: number, received: Received, lossy: boolean, when: string): void {
  const { status, text, outcome } = received;
  const sent = said(recording.dialect, recording.events.slice(0, count));
  if (status !== 200) {
    expect(lossy || saysNothing(sent), when).toBe(true);
    expect(status, when).toBe(502);
    expectError(client, text);
    expect(outcome, when).toMatchObject({ kind: "failed", status });
    return;
  }
  expect(outcome, when).toMatchObject({ kind: "cut", status: 200, estimated: true });
  expect(text, when).not.toContain(client === "openai-chat" ? "[DONE]" : '"message_stop"');
  const errorAt = text.lastIndexOf(client === "openai-chat" ? "data: " : "event: error\ndata: ");
  const before = text.slice(0, errorAt);
  expectError(client, /^(?:event: error\n)?data: (.*)\n\n$/.exec(text.slice(errorAt))?.[1] ?? "");
  const whole = Buffer.concat(recording.wire.slice(0, count)).toString();
  if (client === recording.dialect) return expect(lossy ? whole.slice(0, before.length) : whole, when).toBe(before);
  const told = said(client, eventsIn(before));
  expect([undefined, sent.finish], when).toContain(told.finish);
  if (lossy) expect(startsWith(sent, told), when).toBe(true);
  else expect(told, when).toMatchObject(contentOf(sent));
}

function expectError(client: Client, body: string): void {
  const error: unknown = JSON.parse(body);
  if (client === "openai-chat") expectOpenAi("ErrorResponse", error);
  else expectAnthropic(ErrorBody, error);
  expect(error).toMatchObject({ error: { type: "api_error", message: "The provider's answer ended before it was complete." } });
}

function saysNothing({ text, refusal, reasoning, calls, finish }: Said): boolean {
  return text + refusal + reasoning + (finish ?? "") === "" && calls.length === 0;
}

function contentOf({ text, reasoning, calls }: Said) {
  return {
    text,
    reasoning,
    calls: calls.map(({ name, args }) => ({ name, args: args === "" ? expect.stringMatching(/^(\{\})?$/) : args })),
  };
}

function startsWith(sent: Said, told: Said): boolean {
  const calls = told.calls.every(({ name, args }, at) => {
    const call = sent.calls[at];
    return call?.name === name && (call.args || "{}").startsWith(args);
  });
  return calls && sent.text.startsWith(told.text) && sent.reasoning.startsWith(told.reasoning);
}

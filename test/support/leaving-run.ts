import { setTimeout as sleep } from "node:timers/promises";
import { answerIn, ClientRecorder, callIn, checkHistories, FakeRandom, forever, type Responder, type Step } from "headgate/testing";
import { get_encoding } from "tiktoken";
import { expect } from "vitest";
import { startLedgerRig, times } from "./ledger-rig.ts";

const encoding = get_encoding("o200k_base");
const TEXT = "It was the best of times, it was the worst of times, it was the age of wisdom. ".repeat(10).trim();
/** As a provider streams it: a token at a time. */
const PIECES = tokensOf(TEXT);

/** Answers with `TEXT`; a stream waits for `pause` before its last frames, those with the usage and the terminator. */
function answering(pause: () => Step): Responder {
  return (call) => {
    const number = callIn(call.body) ?? 0;
    const script = answerIn("openai-chat", {
      text: [...PIECES, ` ${number}`],
      usage: { inputTokens: 30, outputTokens: PIECES.length + 1 },
    })(call);
    const { body } = script;
    if (typeof body !== "object" || body instanceof Uint8Array) return script;
    const frames = [...(body as Iterable<Step>)];
    return { ...script, body: [...frames.slice(0, -2), pause(), ...frames.slice(-2)] };
  };
}

/** C3: reads everything but the last chunk, then disconnects, again and again, until the budget is used up and after that. */
export async function readForNothing(count: number): Promise<void> {
  const { url, finish } = await startLedgerRig({
    responder: answering(forever),
    plans: { small: [{ tokens: Math.floor(count * 0.7) * 270, per: "once" }] },
  });
  const client = new ClientRecorder(url);
  const key = "key_of_usr_ann";
  const readAndLeave = () => client.call({ model: "scripted/m", key, leave: (soFar) => soFar.includes('"finish_reason":"stop"') });
  await times(count, 10, readAndLeave);
  // With nothing else under way, what is left of the budget is used up call by call, and then it is over.
  let refused = 0;
  for (let more = 0; more < 100 && refused < 10; more++) {
    refused = (await readAndLeave()).status === 429 ? refused + 1 : 0;
    await sleep(20);
  }
  expect(refused, "refusals in a row").toBe(10);
  const histories = await finish(client);
  expect(checkHistories(histories)).toEqual([]);
  const read = client.calls.filter(({ status }) => status === 200);
  const delivered = read.reduce((sum, { answer }) => sum + tokensOf(answer.text).length, 0);
  const billed = histories.ledger.attempts.reduce((sum, { outputTokens }) => sum + (outputTokens ?? 0), 0);
  expect(billed, `of ${delivered} tokens delivered`).toBeGreaterThanOrEqual(delivered * 0.95);
  expect(read.every(({ left, answer }) => left && !answer.ended && answer.text.startsWith(TEXT))).toBe(true);
  // It got far, and no further than the budget.
  expect(read.length).toBeGreaterThan(count * 0.5);
  expect(delivered).toBeLessThanOrEqual((histories.quota?.[0]?.[0]?.limit ?? 0) / 0.95);
}

/** C11: leaves within 5 ms before or after the last chunk. */
export async function leaveAtTheEnd(count: number, seed: number): Promise<void> {
  const random = new FakeRandom(seed);
  const { url, finish } = await startLedgerRig({
    responder: answering(() => ({ until: sleep(random.next() * 10) })),
    plans: { small: ["900M tokens once", "$9000 once", "1000000 requests once"] },
  });
  const client = new ClientRecorder(url);
  await times(count, 8, async (index) => {
    const leaving = new AbortController();
    let seen = false;
    const leave = (soFar: string) => {
      if (!seen && soFar.includes('"finish_reason":"stop"')) {
        seen = true;
        setTimeout(() => leaving.abort(), 5);
      }
      return false;
    };
    if (index % 5 === 0) setTimeout(() => leaving.abort(), 5 + random.next() * 10);
    await client.call({ model: "scripted/m", stream: index % 5 > 0, key: "key_of_usr_ann", leave, signal: leaving.signal });
  });
  const histories = await finish(client);
  expect(checkHistories(histories)).toEqual([]);
  expect(histories.ledger.exchanges.length).toBeLessThanOrEqual(count);
  const whole = client.calls.filter(({ answer }) => answer.ended).length;
  // It was a race.
  expect(whole).toBeGreaterThan(count / 20);
  expect(whole).toBeLessThan(count - count / 20);
}

function tokensOf(text: string): string[] {
  return [...encoding.encode(text, [], [])].map((token) => Buffer.from(encoding.decode(Uint32Array.of(token))).toString());
}

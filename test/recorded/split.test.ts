import { sse } from "headgate/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CLIENTS, type RecordedGateway, startRecordedGateway } from "../support/recorded-gateway.ts";
import { allRecordings, hasRecordings } from "../support/recordings.ts";

/** `core/dialects/recorded.test.ts` splits at every byte without a network; here a piece is a chunk of HTTP. */
const PLACES = 40;
const SHORT = 3 * 1024;
const LONGEST = 20 * 1024;
const streams = allRecordings()
  .replayed.filter(({ streamed, name }) => streamed && !name.includes("spliced"))
  .map((recording) => ({ ...recording, bytes: Buffer.concat(recording.wire) }))
  .filter(({ bytes }) => bytes.length <= LONGEST);

let gateway: RecordedGateway;
beforeAll(async () => {
  gateway = await startRecordedGateway();
});
afterAll(() => gateway.stop());

describe.skipIf(!hasRecordings)("a recorded stream that arrives in other pieces (skipped where ../shared/fixtures is absent)", () => {
  it("is one of at least 20, from every dialect", () => {
    expect(streams.length).toBeGreaterThanOrEqual(20);
    expect(new Set(streams.map(({ dialect }) => dialect)).size).toBe(4);
  });

  for (const { name, provider, bytes } of streams) {
    it(`${name}, split in two at ${PLACES} places${bytes.length <= SHORT ? " and byte by byte" : ""}`, async () => {
      const splits = Array.from({ length: PLACES }, (_, index) => 1 + Math.floor((index * (bytes.length - 1)) / PLACES));
      const ways: Buffer[][] = splits.map((at) => [bytes.subarray(0, at), bytes.subarray(at)]);
      if (bytes.length <= SHORT) ways.push(Array.from(bytes, (byte) => Buffer.of(byte)));
      for (const client of CLIENTS) {
        const ask = async (pieces: readonly Buffer[]) => {
          const { text, status, outcome } = await gateway.ask(client, provider, sse(pieces), { stream: true });
          return { text: settled(text), status, outcome };
        };
        const unsplit = await ask([bytes]);
        expect(unsplit).toMatchObject({ status: 200, outcome: { kind: "complete" } });
        for (const answer of await Promise.all(ways.map(ask))) expect(answer).toEqual(unsplit);
      }
    });
  }
});

/** Made-up ids, the time and the model that was asked for differ from call to call. */
function settled(text: string): string {
  return text
    .replaceAll(/(call|chatcmpl|toolu|msg)_[0-9a-f]{32}/g, "$1")
    .replaceAll(/"created":\d+/g, '"created":0')
    .replaceAll(/recorded-\d+/g, "recorded");
}

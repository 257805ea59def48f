import { bind, Database } from "headgate";
import { usage } from "headgate/plugins";
import {
  answerIn,
  ClientRecorder,
  callIn,
  checkHistories,
  cut,
  FakeLogger,
  type Histories,
  ScriptedUpstream,
  startGateway,
  upstreamHistory,
} from "headgate/testing";
import { beforeAll, expect, it, vi } from "vitest";
import { createDatabase } from "../../core/services/database/open.ts";
import { readLedger } from "../support/ledger.ts";
import { provider } from "../support/scripted-provider.ts";

const CALLS = 60;
const TEXT = "It was the best of times, it was the worst of times. ".repeat(15).trim();

let histories: Histories;

beforeAll(async () => {
  const db = createDatabase({ url: "sqlite::memory:", data: "", random: { next: Math.random }, logger: new FakeLogger() });
  const upstream = (await ScriptedUpstream.start()).always((call) => {
    const number = callIn(call.body) ?? 0;
    const script = answerIn("openai-chat", { text: `${TEXT} ${number}`, usage: { inputTokens: 500 + number, outputTokens: 190 + number } })(
      call,
    );
    return number % 6 === 0 ? { ...cut(script, { steps: 80 }), ...(script.usage ? { usage: script.usage } : {}) } : script;
  });
  const gateway = await startGateway({ providers: [provider("openai-chat", upstream.url, "scripted")], plugins: [usage()] }, [
    bind(Database, db),
  ]);
  const client = new ClientRecorder(gateway.url);
  const leave = (soFar: string) => soFar.includes("worst");
  await Promise.all(
    Array.from({ length: CALLS }, (_, index) =>
      client.call({ model: "scripted/m", stream: index % 4 > 0, ...(index % 7 === 1 ? { leave } : {}) }),
    ),
  );
  await vi.waitFor(async () => expect((await readLedger(db)).exchanges).toHaveLength(CALLS), 20_000);
  histories = { client: client.calls, upstream: upstreamHistory(upstream), ledger: await readLedger(db) };
  await gateway.stop();
  await db.close();
  await upstream.close();
});

it("the ledger of a gateway says what client and provider saw of whole, cut and abandoned calls", () => {
  expect(checkHistories(histories)).toEqual([]);
});

it("a row that is missing from it, or stands in it twice, is named", () => {
  const { exchanges, attempts } = histories.ledger;
  expect(checkHistories({ ...histories, ledger: { exchanges, attempts: attempts.slice(1) } })).toMatchObject([{ invariant: "I2" }]);
  expect(checkHistories({ ...histories, ledger: { exchanges: exchanges.slice(1), attempts } }).map(({ invariant }) => invariant)).toContain(
    "I2",
  );
  expect(checkHistories({ ...histories, ledger: { exchanges, attempts: [...attempts, ...attempts.slice(0, 1)] } })).toContainEqual(
    expect.objectContaining({ invariant: "I2", message: expect.stringContaining("has two rows") }),
  );
});

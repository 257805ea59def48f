import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { definePlugin } from "../plugin.ts";
import { defineProvider } from "../provider.ts";
import { answerIn } from "./answers.ts";
import { checkHistories, type Histories, type Violation } from "./checker.ts";
import { ClientRecorder } from "./client-recorder.ts";
import { startGateway } from "./gateway.ts";
import { callIn, type LedgerAttempt, type LedgerExchange, marked, type QuotaAccount, readAnswer, upstreamHistory } from "./histories.ts";
import { ScriptedUpstream, type UpstreamCall } from "./scripted-upstream.ts";
import { cut, json } from "./scripts.ts";

/** Writes down what a ledger would, so that the checker is tried on what a real gateway does. */
function book() {
  const exchanges: LedgerExchange[] = [];
  const attempts: LedgerAttempt[] = [];
  const plugin = definePlugin({
    name: "book",
    options: z.strictObject({}),
    setup: () => ({
      handle(exchange, next) {
        exchange.onSettled(({ estimated }) => {
          const { id, client } = exchange;
          exchanges.push({ id, userAgent: String(client.headers["user-agent"]), key: "key_1", cached: false });
          for (const attempt of exchange.attempts) {
            const { inputTokens = null, outputTokens = null } = attempt.usage ?? {};
            attempts.push({ id: attempt.id, exchange: id, inputTokens, outputTokens, estimated, cost: null });
          }
        });
        return next();
      },
    }),
  })();
  return { exchanges, attempts, plugin };
}

const TEXT = "The quick brown fox jumps over the lazy dog, again and again. ".repeat(20).trim();

/** Every seventh answer breaks off, every tenth is an error; each has a text and a usage of its own. */
function respond(call: UpstreamCall) {
  const number = callIn(call.body) ?? 0;
  const text = `${TEXT} ${number}`;
  const script = answerIn("openai-chat", { text, usage: { inputTokens: 1_000 + number, outputTokens: 240 + number } })(call);
  if (number % 10 === 0) return json({ error: { message: "no", type: "server_error" } }, { status: 500 });
  return number % 7 === 0 ? { ...cut(script, { steps: 100 }), ...(script.usage ? { usage: script.usage } : {}) } : script;
}

let clean: Histories;

beforeAll(async () => {
  const upstream = (await ScriptedUpstream.start()).always(respond);
  const ledger = book();
  const scripted = defineProvider({
    name: "scripted",
    options: z.strictObject({}),
    setup: () => ({ name: "scripted", dialect: "openai-chat", baseUrl: upstream.url, headers: () => ({}), models: [{ id: "m" }] }),
  })();
  const gateway = await startGateway({ providers: [scripted], plugins: [ledger.plugin] });
  const recorder = new ClientRecorder(gateway.url);
  await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      recorder.call({
        model: "scripted/m",
        key: "key_1",
        tenant: index % 2 === 0 ? "a" : "b",
        path: index % 3 === 0 ? "/v1/messages" : "/v1/chat/completions",
        stream: index % 4 !== 0,
        ...(index % 5 === 1 ? { leave: (soFar: string) => soFar.includes("quick") } : {}),
      }),
    ),
  );
  await gateway.stop();
  await upstream.close();
  const { exchanges, attempts } = ledger;
  const settled = attempts.reduce((sum, { inputTokens, outputTokens }) => sum + (inputTokens ?? 0) + (outputTokens ?? 0), 0);
  const account = {
    account: "key_1 tokens",
    unit: "tokens" as const,
    limit: 1_000_000,
    covers: ({ key }: LedgerExchange) => key === "key_1",
  };
  clean = {
    client: recorder.calls,
    upstream: upstreamHistory(upstream),
    ledger: { exchanges, attempts },
    quota: [[{ ...account, settled: 0, reserved: 5_000 }], [{ ...account, settled, reserved: 0 }]],
    gauges: { before: { sockets: 0 }, after: { sockets: 0 } },
    canaries: [{ tenant: "a", text: "CANARY-A" }],
    secrets: { "the provider's key": "sk-canary-0001" },
    outputs: { "the log": "all quiet" },
  };
});

/** The clean histories with one thing about them changed. */
const doctored = (changes: Partial<Histories>): Violation[] => checkHistories({ ...clean, ...changes });
const attempts = (change: (rows: LedgerAttempt[]) => LedgerAttempt[]) => ({
  ledger: { ...clean.ledger, attempts: change([...clean.ledger.attempts]) },
});
const exchanges = (change: (rows: LedgerExchange[]) => LedgerExchange[]) => ({
  ledger: { ...clean.ledger, exchanges: change([...clean.ledger.exchanges]) },
});
/** A row that was billed by what the provider stated. */
const exactRow = () => clean.ledger.attempts.findIndex(({ estimated, outputTokens }) => !estimated && outputTokens !== null);
const estimatedRow = () => clean.ledger.attempts.findIndex(({ estimated, outputTokens }) => estimated && (outputTokens ?? 0) > 60);
const edited = <T>(rows: T[], at: number, change: Partial<T>): T[] => rows.with(at, { ...(rows[at] as T), ...change });
/** A call that saw the whole of a stream. */
const wholeCall = () => clean.client.findIndex(({ answer, raw, left }) => answer.ended && !left && raw.includes("data:"));
const editedCall = (at: number, raw: string) => ({ client: edited([...clean.client], at, { raw, answer: readAnswer(raw) }) });

describe("the checker", () => {
  it("finds nothing in what a gateway did with whole, cut, failed and abandoned calls", () => {
    expect(checkHistories(clean)).toEqual([]);
    const { client, upstream } = clean;
    expect(client.filter(({ answer }) => answer.ended).length).toBeGreaterThan(15);
    expect(client.filter(({ answer, status }) => answer.error && status === 200).length).toBeGreaterThan(0);
    expect(client.filter(({ status }) => status >= 500).length).toBeGreaterThan(0);
    expect(client.filter(({ left }) => left).length).toBeGreaterThan(0);
    expect(upstream).toHaveLength(40);
    expect(estimatedRow()).toBeGreaterThanOrEqual(0);
  });

  const rest = (violations: Violation[]) => [...new Set(violations.map(({ invariant }) => invariant))];

  it("names I2 for a row that was lost, doubled or belongs to nothing", () => {
    expect(doctored(attempts((rows) => rows.toSpliced(exactRow(), 1)))).toContainEqual(
      expect.objectContaining({ invariant: "I2", message: "1 requests upstream, but 0 attempt rows", call: expect.any(Number) }),
    );
    const double = doctored({ ...attempts((rows) => [...rows, rows[exactRow()] as LedgerAttempt]), quota: [] });
    expect(double).toContainEqual({ invariant: "I2", message: `attempt ${clean.ledger.attempts[exactRow()]?.id} has two rows` });
    expect(rest(doctored({ ...exchanges((rows) => rows.slice(1)), quota: [] }))).toContain("I2");
    const again = { ...(clean.ledger.exchanges[0] as LedgerExchange), id: "req_again" };
    expect(doctored(exchanges((rows) => [...rows, again]))).toEqual([
      { invariant: "I2", message: "2 exchange rows", call: callIn(again.userAgent) },
    ]);
    expect(doctored(exchanges((rows) => [...rows, { ...again, userAgent: marked(999) }]))).toEqual([
      { invariant: "I2", message: "exchange req_again belongs to no call" },
    ]);
  });

  it("names I1 for a call that is billed wrongly, not flagged, for nothing, or to somebody else", () => {
    const quota: Histories["quota"] = [];
    const exact = clean.ledger.attempts[exactRow()] as LedgerAttempt;
    const more = doctored({ quota, ...attempts((rows) => edited(rows, exactRow(), { outputTokens: (exact.outputTokens ?? 0) + 1 })) });
    expect(more).toEqual([{ invariant: "I1", message: expect.stringContaining(`attempt ${exact.id}: `), call: expect.any(Number) }]);
    expect(rest(doctored({ quota, ...attempts((rows) => edited(rows, exactRow(), { estimated: true, outputTokens: 1 })) }))).toEqual([
      "I1",
    ]);
    expect(rest(doctored({ quota, ...attempts((rows) => edited(rows, estimatedRow(), { estimated: false })) }))).toEqual(["I1"]);
    expect(rest(doctored({ quota, ...attempts((rows) => edited(rows, estimatedRow(), { outputTokens: 0 })) }))).toEqual(["I1"]);
    expect(rest(doctored({ quota, ...attempts((rows) => edited(rows, estimatedRow(), { outputTokens: 9_999 })) }))).toEqual(["I1"]);
    const phantom = { ...exact, id: "att_phantom" };
    expect(doctored({ quota, ...attempts((rows) => [...rows, phantom]) })).toContainEqual(
      expect.objectContaining({ invariant: "I1", message: "attempt att_phantom: billed, but nothing went upstream" }),
    );
    expect(rest(doctored({ quota, ...exchanges((rows) => edited(rows, 0, { key: "key_2" })) }))).toEqual(["I1"]);
  });

  it("names I3 for an overrun at any moment, a reservation left over, and a settle that was dropped", () => {
    const [first = [], last = []] = clean.quota ?? [];
    const look = (at: "first" | "last", change: object) => ({
      quota: [
        at === "first" ? first.map((one) => ({ ...one, ...change })) : first,
        at === "last" ? last.map((one) => ({ ...one, ...change })) : last,
      ],
    });
    expect(doctored(look("first", { limit: 4_999 }))).toEqual([
      { invariant: "I3", message: "key_1 tokens: 0 settled and 5000 reserved of 4999" },
    ]);
    expect(doctored(look("last", { reserved: 1 }))).toEqual([{ invariant: "I3", message: "key_1 tokens: 1 reserved at rest" }]);
    const settled = (last[0]?.settled ?? 0) - 1_241;
    expect(doctored(look("last", { settled }))).toEqual([
      { invariant: "I3", message: `key_1 tokens: ${settled} settled, but the ledger says ${settled + 1_241}` },
    ]);
    expect(rest(doctored(look("first", { reserved: -1 })))).toEqual(["I3"]);
  });

  it("names I4 for what is left over", () => {
    expect(doctored({ gauges: { before: { sockets: 0 }, after: { sockets: 1 } } })).toEqual([
      { invariant: "I4", message: "sockets: 0 before, 1 after" },
    ]);
  });

  it("names I5 for an answer that was cut and shown as whole, changed, or ends without a word", () => {
    const at = wholeCall();
    const { raw = "", call } = clean.client[at] ?? {};
    const shorter = raw.replace("lazy", "");
    expect(doctored(editedCall(at, shorter))).toEqual([
      { invariant: "I5", message: "a clean end, but no upstream answer was whole and says the same", call },
    ]);
    const silent = raw.replaceAll(/data: \[DONE\]|event: message_stop[\s\S]*/g, "");
    expect(doctored(editedCall(at, silent))).toContainEqual({ invariant: "I5", message: "neither a clean end nor an error", call });
    expect(rest(doctored(editedCall(at, `data: {"error":{"message":"x"}}\n\n${raw}`)))).toContain("I5");
  });

  it("names I6 for what reaches another tenant, or goes upstream for one", () => {
    const other = clean.client.findIndex(({ tenant, answer }) => tenant === "b" && answer.ended);
    const { raw = "", call } = clean.client[other] ?? {};
    expect(doctored({ client: edited([...clean.client], other, { raw: `${raw}CANARY-A` }) })).toEqual([
      { invariant: "I6", message: "b was sent what is a's", call },
    ]);
    const asked = clean.upstream.findIndex((record) => record.call === call);
    expect(doctored({ upstream: edited([...clean.upstream], asked, { body: `${marked(call as number)} CANARY-A` }) })).toEqual([
      { invariant: "I6", message: "what is a's went upstream for b", call },
    ]);
  });

  it("names I7 for a secret that shows, without showing it", () => {
    const violations = doctored({ outputs: { "the log": "key sk-canary-0001 was refused" } });
    expect(violations).toEqual([{ invariant: "I7", message: "the provider's key stands in the log" }]);
    const at = wholeCall();
    const raw = `${clean.client[at]?.raw}: sk-canary-0001`;
    expect(rest(doctored({ client: edited([...clean.client], at, { raw }) }))).toEqual(["I7"]);
  });

  it("names I10 for retries that multiply the load", () => {
    const twice = doctored({ upstream: [...clean.upstream, ...clean.upstream] });
    expect(twice).toContainEqual({ invariant: "I10", message: "80 requests upstream for 40 calls" });
  });

  it("lets a killed gateway leave out calls that broke without a word before they went out, and no others", () => {
    const at = wholeCall();
    const raw = clean.client[at]?.raw.slice(0, 300) ?? "";
    const { call } = clean.client[at] ?? {};
    const lost = {
      client: edited([...clean.client], at, { raw, answer: readAnswer(raw), broken: true }),
      ...exchanges((rows) => rows.filter(({ userAgent }) => callIn(userAgent) !== call)),
      quota: [],
    };
    const gone = clean.ledger.exchanges.find(({ userAgent }) => callIn(userAgent) === call)?.id;
    lost.ledger.attempts = clean.ledger.attempts.filter(({ exchange }) => exchange !== gone);
    expect(rest(doctored(lost))).toEqual(["I2", "I5"]);
    expect(rest(doctored({ ...lost, crashed: true }))).toEqual(["I2"]);
    const unsent = {
      client: edited([...clean.client], at, { raw: "", answer: readAnswer(""), broken: true }),
      upstream: clean.upstream.filter((record) => record.call !== call),
    };
    expect(rest(doctored({ ...lost, ...unsent, crashed: true }))).toEqual([]);
  });

  it("lets a killed gateway say that it does not know what a call used, and have settled no more than was set aside for it", () => {
    const { call } = clean.client[wholeCall()] ?? {};
    const gone = clean.ledger.exchanges.find(({ userAgent }) => callIn(userAgent) === call)?.id;
    const known = clean.ledger.attempts.filter(({ exchange }) => exchange !== gone);
    const ledger = {
      exchanges: clean.ledger.exchanges.map((row) => (row.id === gone ? { ...row, unknown: true } : row)),
      attempts: known,
    };
    const least = known.reduce((sum, { inputTokens, outputTokens }) => sum + (inputTokens ?? 0) + (outputTokens ?? 0), 0);
    const account = { ...(clean.quota?.at(-1)?.[0] as QuotaAccount), unknownAtMost: 1_000 };
    const settling = (settled: number) => ({ ledger, crashed: true, quota: [[{ ...account, settled }]] });
    expect(doctored(settling(least))).toEqual([]);
    expect(doctored(settling(least + 1_000))).toEqual([]);
    expect(rest(doctored(settling(least + 1_001)))).toEqual(["I3"]);
    expect(rest(doctored(settling(least - 1)))).toEqual(["I3"]);
    expect(rest(doctored({ ...settling(least), crashed: false }))).toEqual(["I2"]);
  });
});

import { hash } from "node:crypto";
import { type ChatChunk, Clock, canonicalJson, definePlugin, type Exchange, GatewayError, KeyValue, type Next, Scripts } from "headgate";
import { type Answer, Answers, type Entry } from "./answers.ts";
import { IdempotencyOptions } from "./options.ts";

const KEY = /^[\x21-\x7e]{1,255}$/;
const MEGABYTE = 1024 * 1024;

/**
 * A call with an `Idempotency-Key` is made once: whoever repeats it, at the same time or later, gets the first one's
 * answer. What failed is not kept, so that a retry is a new try.
 */
export const idempotency = definePlugin({
  name: "idempotency",
  options: IdempotencyOptions,
  inject: { clock: Clock, keyValue: KeyValue, scripts: Scripts },
  after: ["metrics", "auth", "usage", "rate-limit"],
  before: ["quota", "semantic-cache", "complexity-router", "condenser", "failover"],
  setup({ keepMinutes, maxAnswers, maxMegabytes }, { clock, keyValue, scripts }) {
    const keepMs = keepMinutes * 60_000;
    const answers = new Answers({ keepMs, entries: maxAnswers, bytes: maxMegabytes * MEGABYTE }, () => clock.monotonic());

    /** What this process knows of a key, or another one has answered. */
    async function find(key: string): Promise<Entry | undefined> {
      const known = answers.find(key);
      if (known || !scripts.shared) return known;
      const shared = await keyValue.get<{ digest: string; answer: Answer }>(`idempotency:${key}`);
      return shared && { state: "answered", ...shared, until: Number.POSITIVE_INFINITY };
    }

    async function lead(exchange: Exchange, next: Next, key: string, digest: string): Promise<void> {
      const streamed = exchange.request.stream === true;
      const { finish } = answers.begin(key, digest, streamed);
      const keep = (answer: Answer) => {
        finish(answer);
        if (scripts.shared) void keyValue.set(`idempotency:${key}`, { digest, answer }, keepMs);
      };
      let chunks: string[] | undefined;
      exchange.onSettled(({ kind }) => {
        if (chunks && kind === "complete") keep({ kind: "stream", json: `[${chunks.join()}]` });
        else finish();
      });
      await next();
      const { reply } = exchange;
      if (reply?.kind === "json") keep({ kind: "json", json: JSON.stringify(reply.body) });
      if (reply?.kind !== "stream") return;
      const { stream } = reply;
      chunks = [];
      let size = 0;
      reply.stream = (async function* () {
        for await (const chunk of stream) {
          if (chunks) {
            const json = JSON.stringify(chunk);
            size += json.length;
            // What would not be kept need not be gathered.
            if (size > answers.largest) chunks = undefined;
            else chunks.push(json);
          }
          yield chunk;
        }
      })();
    }

    return {
      async handle(exchange, next) {
        const given = exchange.client.headers["idempotency-key"];
        if (given === undefined || (exchange.operation !== "chat" && exchange.operation !== "embeddings")) return next();
        if (typeof given !== "string" || !KEY.test(given)) {
          throw new GatewayError("invalid_request", { message: "An Idempotency-Key is 1 to 255 visible ASCII characters." });
        }
        const { caller, client, operation } = exchange;
        const key = hash("sha256", JSON.stringify([caller?.key ?? caller?.user ?? client.ip, operation, given]));
        const digest = hash("sha256", canonicalJson(exchange.wire));
        for (;;) {
          const found = await find(key);
          // Another call may have begun meanwhile.
          const entry = answers.find(key) ?? found;
          if (!entry) return lead(exchange, next, key, digest);
          if (entry.digest !== digest) throw new GatewayError("idempotency_mismatch");
          if (entry.state === "pending" && entry.streamed) throw new GatewayError("idempotency_conflict", { retryAfter: 1 });
          const answer = entry.state === "answered" ? entry.answer : await orAborted(entry.done, exchange.signal);
          if (!answer) continue;
          exchange.reply = replyOf(answer);
          exchange.headers.set("x-headgate-idempotent-replay", "true");
          exchange.note("answered as the first call with this key was");
          return;
        }
      },
    };
  },
});

function replyOf({ kind, json }: Answer): NonNullable<Exchange["reply"]> {
  if (kind === "json") return { kind, body: JSON.parse(json) };
  const chunks: ChatChunk[] = JSON.parse(json);
  return {
    kind,
    stream: (async function* () {
      yield* chunks;
    })(),
  };
}

function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

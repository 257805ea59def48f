import { hash } from "node:crypto";
import {
  Catalogue,
  Clock,
  Database,
  definePlugin,
  type Exchange,
  Ids,
  Logger,
  Metrics,
  type Outcome,
  Spools,
  type Target,
  type Timer,
} from "headgate";
import { userAgentOf } from "./columns.ts";
import { listen, promptOf, Vault } from "./content.ts";
import { ledgerOf } from "./ledger.ts";
import { UsageOptions } from "./options.ts";
import { removeBefore } from "./partitions.ts";
import { personalData } from "./personal-data.ts";
import { sketch } from "./record.ts";
import { usageRoutes } from "./routes.ts";
import { migrations, type Tables } from "./tables.ts";

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** Backlog of the ledger from which `/health` calls it degraded. */
const BEHIND = 5_000;
/** Refused before anyone knew who it was: counted, and no row. */
const STRANGERS = new Set(["invalid_api_key"]);
/** Bytes to a token, roughly, for a call of which nothing more was heard. */
const BYTES_PER_TOKEN = 4;

/**
 * The ledger: a row for each call and each try at a provider. A row is written down on this machine when its call ends,
 * and brought to the database in batches, once each, whatever becomes of either in between. No call waits for it.
 */
export const usage = definePlugin({
  name: "usage",
  options: UsageOptions,
  inject: { catalogue: Catalogue, clock: Clock, db: Database, ids: Ids, logger: Logger, metrics: Metrics, spools: Spools },
  after: ["metrics", "auth"],
  before: ["rate-limit", "idempotency", "quota", "semantic-cache", "complexity-router", "condenser", "failover"],
  failMode: "open",
  setup(options, { catalogue, clock, db, ids, logger, metrics, spools }) {
    const ledger = ledgerOf({ clock, db, ids, spools });
    const vault = options.content === "store" && options.contentKey ? new Vault(options.contentKey.reveal()) : undefined;
    const strangers = metrics.counter("headgate_usage_strangers_total", {
      help: "Refused calls of callers nobody knew; they have no row.",
    });
    let started = false;
    let upkeep: Timer | undefined;

    /** Writes down that a call has begun; returns when, which is part of its row's key. */
    function begin(exchange: Exchange): number {
      const created_at = clock.now().getTime();
      const { id, caller, dialect, operation, requestedModel } = exchange;
      const size = Number(exchange.client.headers["content-length"] ?? 0);
      const row = sketch({
        id,
        created_at,
        user_id: caller?.user ?? null,
        key_id: caller?.key ?? null,
        team: caller?.team ?? null,
        plan: caller?.plan ?? null,
        dialect,
        operation,
        requested_model: requestedModel.slice(0, 200),
        input_tokens: Math.ceil(size / BYTES_PER_TOKEN),
        output_tokens: 0,
        cached_tokens: 0,
        reasoning_tokens: 0,
        cached: 0,
        attempts: 1,
        estimated: 1,
        status: 0,
        outcome: "unknown",
        session: sessionOf(exchange),
        user_agent: userAgentOf(exchange),
        ip: exchange.client.ip,
      });
      ledger.begin(id, row);
      return created_at;
    }

    function sessionOf({ client }: Exchange): string | null {
      const session = client.headers[options.sessionHeader];
      return typeof session === "string" ? session.slice(0, 200) : null;
    }

    /** Null as soon as the price of one try is not known. */
    function costOf({ attempts }: Exchange): number | null {
      let sum = 0;
      for (const { target, usage: used } of attempts) {
        const cost = used ? catalogue.cost(target, used) : 0;
        if (cost === null) return null;
        sum += cost;
      }
      return sum;
    }

    function end(
      exchange: Exchange,
      outcome: Outcome,
      createdAt: number,
      asked: Target | undefined,
      heard: (() => string) | undefined,
    ): void {
      const prompt = options.content === "none" ? undefined : promptOf(exchange);
      const call = {
        exchange,
        outcome,
        createdAt,
        endedAt: clock.monotonic(),
        asked,
        session: sessionOf(exchange),
        estimatedInput: exchange.estimatedInput ?? null,
        promptHash: prompt === undefined ? null : hash("sha256", prompt, "base64url"),
        cost: costOf(exchange),
        catalogue,
      };
      ledger.end(call);
      if (vault && prompt !== undefined) void keepContent(vault, exchange.id, createdAt, prompt, heard?.() ?? null);
    }

    async function keepContent(safe: Vault, id: string, created_at: number, prompt: string, answer: string | null): Promise<void> {
      const row = { id, created_at, prompt: safe.seal(prompt), answer: answer === null ? null : safe.seal(answer) };
      await db
        .tables<Tables>()
        .insertInto("usage_contents")
        .values(row)
        .onConflict((conflict) => conflict.column("id").doNothing())
        .execute()
        .catch((error) => logger.warn({ err: error, id }, "a prompt could not be kept"));
    }

    async function removeOld(): Promise<void> {
      if (options.retentionDays === 0) return;
      const removed = await removeBefore(db, clock.now().getTime() - options.retentionDays * DAY_MS);
      if (removed > 0) logger.info({ removed }, "old usage has been removed");
    }

    return {
      migrations,
      personalData: personalData(db, vault),
      routes: usageRoutes({ db, clock }),
      async start() {
        await ledger.start();
        started = true;
        upkeep = clock.interval(
          HOUR_MS,
          () => void removeOld().catch((error) => logger.warn({ err: error }, "old usage could not be removed")),
        );
      },
      async stop() {
        upkeep?.cancel();
        if (started) await ledger.stop();
        started = false;
      },
      health: () =>
        ledger.backlog > BEHIND ? { status: "degraded", detail: `${ledger.backlog} records wait for the database` } : { status: "ok" },
      handle(exchange, next) {
        if (exchange.operation === "models") return next();
        const createdAt = begin(exchange);
        const asked = exchange.targets[0];
        let heard: (() => string) | undefined;
        exchange.onSettled((outcome) => {
          if (outcome.kind === "refused" && STRANGERS.has(outcome.error?.code ?? "")) {
            ledger.drop(exchange.id);
            strangers.add(1);
          } else end(exchange, outcome, createdAt, asked, heard);
        });
        if (!vault) return next();
        return next().then(() => {
          heard = listen(exchange);
        });
      },
    };
  },
});

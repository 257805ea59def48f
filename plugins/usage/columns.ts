import type { Attempt, Catalogue, Exchange, Outcome, Target } from "headgate";

declare module "headgate" {
  interface Exchange {
    /** 0 (trivial) to 1, by a plugin that judges it. */
    complexity?: number;
    /** What a plugin makes of the caller's or the call's importance. */
    priority?: string;
    /** Set by a plugin that answered from a cache. */
    cached?: boolean;
    /** Input tokens as they were reckoned before the call, by a plugin that did. */
    estimatedInput?: number;
  }
}

export type Cell = string | number | null;

/** What a column needs to know of a call. Times in epoch ms unless they are durations, in ms. */
export interface Call {
  readonly exchange: Exchange;
  readonly outcome: Outcome;
  readonly createdAt: number;
  /** Monotonic, now. */
  readonly endedAt: number;
  /** Where the call would have gone if nobody had chosen otherwise. */
  readonly asked: Target | undefined;
  readonly session: string | null;
  readonly estimatedInput: number | null;
  readonly promptHash: string | null;
  /** Nano-dollars; null when a price is not known. */
  readonly cost: number | null;
  readonly catalogue: Catalogue;
}

export interface Column<Of> {
  readonly name: string;
  readonly type: "text" | "bigint";
  readonly of: (subject: Of) => Cell;
}

const text = <Of>(name: string, of: (subject: Of) => string | null | undefined): Column<Of> => ({
  name,
  type: "text",
  of: (subject) => of(subject) ?? null,
});
const whole = <Of>(name: string, of: (subject: Of) => number | null | undefined): Column<Of> => ({
  name,
  type: "bigint",
  of: (subject) => {
    const value = of(subject);
    return value === null || value === undefined || !Number.isFinite(value) ? null : Math.round(value);
  },
});
const flag = <Of>(name: string, of: (subject: Of) => boolean): Column<Of> => ({
  name,
  type: "bigint",
  of: (subject) => (of(subject) ? 1 : 0),
});

const first = ({ exchange }: Call): Attempt | undefined => exchange.attempts[0];
const last = ({ exchange }: Call): Attempt | undefined => exchange.attempts.at(-1);
const waited = ({ exchange, endedAt }: Call) =>
  exchange.attempts.reduce((sum, { startedAt, endedAt: at = endedAt }) => sum + at - startedAt, 0);

export function userAgentOf({ client }: Exchange): string | null {
  return String(client.headers["user-agent"] ?? "").slice(0, 200) || null;
}

/** The only try of a call, where its row says all there is to say of it. */
export function onlyTry({ exchange: { attempts }, outcome }: Call): Attempt | undefined {
  const [only] = attempts;
  return attempts.length === 1 && only?.error?.code === outcome.error?.code ? only : undefined;
}

/** `usage_exchanges`: one row for each call, in the order of its cells in a record. The first two are its key. */
export const EXCHANGE: readonly Column<Call>[] = [
  text("id", ({ exchange }) => exchange.id),
  whole("created_at", ({ createdAt }) => createdAt),
  text("user_id", ({ exchange }) => exchange.caller?.user),
  text("key_id", ({ exchange }) => exchange.caller?.key),
  text("team", ({ exchange }) => exchange.caller?.team),
  text("plan", ({ exchange }) => exchange.caller?.plan),
  text("session", ({ session }) => session),
  text("dialect", ({ exchange }) => exchange.dialect),
  text("operation", ({ exchange }) => exchange.operation),
  text("requested_model", ({ exchange }) => exchange.requestedModel.slice(0, 200)),
  text("provider", (call) => last(call)?.target.provider),
  text("model", (call) => last(call)?.target.model.slice(0, 200)),
  whole("input_tokens", ({ outcome }) => outcome.usage?.inputTokens ?? 0),
  whole("output_tokens", ({ outcome }) => outcome.usage?.outputTokens ?? 0),
  whole("cached_tokens", ({ outcome }) => outcome.usage?.cachedTokens ?? 0),
  whole("cache_write_tokens", ({ outcome }) => outcome.usage?.cacheWriteTokens ?? 0),
  whole("reasoning_tokens", ({ outcome }) => outcome.usage?.reasoningTokens ?? 0),
  whole("estimated_input_tokens", ({ estimatedInput }) => estimatedInput),
  flag("estimated", ({ outcome }) => outcome.estimated),
  whole("cost", ({ cost }) => cost),
  whole("list_cost", ({ outcome, asked, catalogue }) => (asked && outcome.usage ? catalogue.cost(asked, outcome.usage) : null)),
  // In thousandths, so that it is a whole number like all others.
  whole("complexity", ({ exchange }) => (exchange.complexity === undefined ? null : exchange.complexity * 1000)),
  text("priority", ({ exchange }) => exchange.priority),
  flag("streamed", ({ exchange }) => exchange.request.stream === true),
  flag("cached", ({ exchange }) => exchange.cached === true),
  whole("attempts", ({ exchange }) => exchange.attempts.length),
  flag("retried", ({ exchange }) => exchange.attempts.length > 1),
  whole("status", ({ outcome }) => outcome.status),
  text("outcome", ({ outcome }) => outcome.kind),
  text("error", ({ outcome }) => outcome.error?.code),
  text("error_type", ({ outcome }) => outcome.error?.type("openai")),
  text("user_agent", ({ exchange }) => userAgentOf(exchange)),
  text("ip", ({ exchange }) => exchange.client.ip),
  whole("queue_ms", (call) => (first(call)?.startedAt ?? call.endedAt) - call.exchange.startedAt),
  whole("provider_ms", waited),
  whole("total_ms", ({ exchange, endedAt }) => endedAt - exchange.startedAt),
  whole("first_token_ms", (call) => {
    const at = last(call)?.firstContentAt;
    return at === undefined ? null : at - call.exchange.startedAt;
  }),
  text("prompt_hash", ({ promptHash }) => promptHash),
  text("try_id", (call) => onlyTry(call)?.id),
  whole("try_status", (call) => onlyTry(call)?.status),
];

export interface Try {
  readonly attempt: Attempt;
  readonly call: Call;
}

/** `usage_attempts`: one row for each try at a provider that is not in its call's own row, by the try's own id. */
export const ATTEMPT: readonly Column<Try>[] = [
  text("id", ({ attempt }) => attempt.id),
  whole("created_at", ({ call }) => call.createdAt),
  text("exchange_id", ({ call }) => call.exchange.id),
  text("provider", ({ attempt }) => attempt.target.provider),
  text("model", ({ attempt }) => attempt.target.model.slice(0, 200)),
  whole("input_tokens", ({ attempt }) => attempt.usage?.inputTokens ?? 0),
  whole("output_tokens", ({ attempt }) => attempt.usage?.outputTokens ?? 0),
  whole("cached_tokens", ({ attempt }) => attempt.usage?.cachedTokens ?? 0),
  whole("cache_write_tokens", ({ attempt }) => attempt.usage?.cacheWriteTokens ?? 0),
  whole("reasoning_tokens", ({ attempt }) => attempt.usage?.reasoningTokens ?? 0),
  whole("cost", ({ attempt, call }) => (attempt.usage ? call.catalogue.cost(attempt.target, attempt.usage) : 0)),
  whole("status", ({ attempt }) => attempt.status),
  text("error", ({ attempt }) => attempt.error?.code),
  text("error_type", ({ attempt }) => attempt.error?.type("openai")),
  whole("ms", ({ attempt, call }) => (attempt.endedAt ?? call.endedAt) - attempt.startedAt),
  whole("first_token_ms", ({ attempt }) => (attempt.firstContentAt === undefined ? null : attempt.firstContentAt - attempt.startedAt)),
];

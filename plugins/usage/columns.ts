import type { Attempt, Catalogue, Exchange, Outcome, Target, Usage } from "headgate";

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
  readonly estimatedInput: number | undefined;
  readonly promptHash: string | null;
  /** Nano-dollars; null when a price is not known. */
  readonly cost: number | null;
  readonly catalogue: Catalogue;
}

export interface Column {
  readonly name: string;
  readonly type: "text" | "bigint";
}

/** What a table's columns are, each of the type that its cells have. */
type Types<Row> = { readonly [Name in keyof Row]: Row[Name] extends string | null ? "text" : "bigint" };

const columnsOf = (types: Readonly<Record<string, Column["type"]>>): readonly Column[] =>
  Object.entries(types).map(([name, type]) => ({ name, type }));

function whole(value: number | undefined): number | null {
  return value === undefined || !Number.isFinite(value) ? null : Math.round(value);
}

export function userAgentOf({ client }: Exchange): string | null {
  return String(client.headers["user-agent"] ?? "").slice(0, 200) || null;
}

/** The only try of a call, where its row says all there is to say of it. */
function onlyTry({ exchange: { attempts }, outcome }: Call): Attempt | undefined {
  const [only] = attempts;
  return attempts.length === 1 && only?.error?.code === outcome.error?.code ? only : undefined;
}

/** What calls and tries have in common: the tokens they used, as columns and as cells. */
const TOKENS = {
  input_tokens: "bigint",
  output_tokens: "bigint",
  cached_tokens: "bigint",
  cache_write_tokens: "bigint",
  reasoning_tokens: "bigint",
} as const;

function tokenCells(usage: Usage | null | undefined) {
  return {
    input_tokens: whole(usage?.inputTokens ?? 0),
    output_tokens: whole(usage?.outputTokens ?? 0),
    cached_tokens: whole(usage?.cachedTokens ?? 0),
    cache_write_tokens: whole(usage?.cacheWriteTokens ?? 0),
    reasoning_tokens: whole(usage?.reasoningTokens ?? 0),
  };
}

/** Cells of a call's row in `usage_exchanges`, in the order of its columns. */
export function rowOf(call: Call) {
  const { exchange, outcome, createdAt, endedAt, asked, catalogue } = call;
  const { caller, attempts } = exchange;
  const { usage, error } = outcome;
  const only = onlyTry(call);
  const last = attempts.at(-1);
  let providerMs = 0;
  for (const attempt of attempts) providerMs += (attempt.endedAt ?? endedAt) - attempt.startedAt;
  return {
    id: exchange.id,
    created_at: createdAt,
    user_id: caller?.user ?? null,
    key_id: caller?.key ?? null,
    team: caller?.team ?? null,
    plan: caller?.plan ?? null,
    session: call.session,
    dialect: exchange.dialect,
    operation: exchange.operation as string,
    requested_model: exchange.requestedModel.slice(0, 200),
    provider: last?.target.provider ?? null,
    model: last?.target.model.slice(0, 200) ?? null,
    ...tokenCells(usage),
    estimated_input_tokens: whole(call.estimatedInput),
    estimated: outcome.estimated ? 1 : 0,
    cost: call.cost,
    list_cost: asked && usage ? catalogue.cost(asked, usage) : null,
    // In thousandths, so that it is a whole number like all others.
    complexity: exchange.complexity === undefined ? null : whole(exchange.complexity * 1000),
    priority: exchange.priority ?? null,
    streamed: exchange.request.stream === true ? 1 : 0,
    cached: exchange.cached === true ? 1 : 0,
    attempts: attempts.length,
    retried: attempts.length > 1 ? 1 : 0,
    status: outcome.status,
    outcome: outcome.kind as string,
    error: (error?.code ?? null) as string | null,
    error_type: error?.type("openai") ?? null,
    user_agent: userAgentOf(exchange),
    ip: exchange.client.ip,
    queue_ms: whole((attempts[0]?.startedAt ?? endedAt) - exchange.startedAt),
    provider_ms: whole(providerMs),
    total_ms: whole(endedAt - exchange.startedAt),
    first_token_ms: last?.firstContentAt === undefined ? null : whole(last.firstContentAt - exchange.startedAt),
    prompt_hash: call.promptHash,
    try_id: only?.id ?? null,
    try_status: only?.status ?? null,
  };
}

/** `usage_exchanges`: one row for each call. The first two are its key. */
export const EXCHANGE = columnsOf({
  id: "text",
  created_at: "bigint",
  user_id: "text",
  key_id: "text",
  team: "text",
  plan: "text",
  session: "text",
  dialect: "text",
  operation: "text",
  requested_model: "text",
  provider: "text",
  model: "text",
  ...TOKENS,
  estimated_input_tokens: "bigint",
  estimated: "bigint",
  cost: "bigint",
  list_cost: "bigint",
  complexity: "bigint",
  priority: "text",
  streamed: "bigint",
  cached: "bigint",
  attempts: "bigint",
  retried: "bigint",
  status: "bigint",
  outcome: "text",
  error: "text",
  error_type: "text",
  user_agent: "text",
  ip: "text",
  queue_ms: "bigint",
  provider_ms: "bigint",
  total_ms: "bigint",
  first_token_ms: "bigint",
  prompt_hash: "text",
  try_id: "text",
  try_status: "bigint",
} satisfies Types<ReturnType<typeof rowOf>>);

/** Cells of a try's row in `usage_attempts`, in the order of its columns. */
export function tryRowOf({ id, target, usage, status, error, startedAt, endedAt, firstContentAt }: Attempt, call: Call) {
  return {
    id,
    created_at: call.createdAt,
    exchange_id: call.exchange.id,
    provider: target.provider,
    model: target.model.slice(0, 200),
    ...tokenCells(usage),
    cost: usage ? call.catalogue.cost(target, usage) : 0,
    status: status ?? null,
    error: (error?.code ?? null) as string | null,
    error_type: error?.type("openai") ?? null,
    ms: whole((endedAt ?? call.endedAt) - startedAt),
    first_token_ms: firstContentAt === undefined ? null : whole(firstContentAt - startedAt),
  };
}

/** `usage_attempts`: one row for each try at a provider that is not in its call's own row, by the try's own id. */
export const ATTEMPT = columnsOf({
  id: "text",
  created_at: "bigint",
  exchange_id: "text",
  provider: "text",
  model: "text",
  ...TOKENS,
  cost: "bigint",
  status: "bigint",
  error: "text",
  error_type: "text",
  ms: "bigint",
  first_token_ms: "bigint",
} satisfies Types<ReturnType<typeof tryRowOf>>);

import type { Attempt, Catalogue, Exchange, Labels, Metrics, Outcome, Target, Usage } from "headgate";
import * as genai from "./names.ts";

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
const FIRST_TOKEN_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const OWN_SECONDS = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1];
const TOKEN_TYPES = [
  ["input", "inputTokens"],
  ["output", "outputTokens"],
  ["cached", "cachedTokens"],
  ["cache_write", "cacheWriteTokens"],
  ["reasoning", "reasoningTokens"],
] as const;
/** Most series of one instrument: some thirty models with the statuses and dialects they are used with. */
const LIMIT = 1000;

function instruments(metrics: Metrics) {
  const target = ["provider", "model"];
  const call = ["operation", ...target];
  const genaiTarget = [genai.OPERATION, genai.PROVIDER, genai.REQUEST_MODEL];
  return {
    requests: metrics.counter("headgate_requests_total", {
      help: "Calls that have ended.",
      labels: ["operation", "dialect", ...target, "status", "outcome"],
      limit: LIMIT,
    }),
    inFlight: metrics.upDownCounter("headgate_requests_in_flight", { help: "Calls that have not ended yet." }),
    duration: metrics.histogram("headgate_request_duration_seconds", {
      help: "From a call's arrival to its end, streams to their last byte.",
      labels: call,
      limit: LIMIT,
      buckets: SECONDS,
      unit: "s",
    }),
    firstToken: metrics.histogram("headgate_time_to_first_token_seconds", {
      help: "From a call's arrival to the first content of its stream.",
      labels: target,
      limit: LIMIT,
      buckets: FIRST_TOKEN_SECONDS,
      unit: "s",
    }),
    overhead: metrics.histogram("headgate_overhead_seconds", {
      help: "Time of a call that was not spent waiting for a provider.",
      labels: ["operation"],
      buckets: OWN_SECONDS,
      unit: "s",
    }),
    plugin: metrics.histogram("headgate_plugin_duration_seconds", {
      help: "Time of one turn of a plugin, what it awaited from the rest of the chain not counted.",
      labels: ["plugin"],
      buckets: OWN_SECONDS,
      unit: "s",
    }),
    attempts: metrics.counter("headgate_attempts_total", {
      help: "Tries at a provider; `error` is empty for those that went well.",
      labels: [...target, "error"],
      limit: LIMIT,
    }),
    tokens: metrics.counter("headgate_tokens_total", {
      help: "Tokens used; cached and cache_write are part of input, reasoning is part of output.",
      labels: [...target, "type"],
      limit: LIMIT,
      unit: "{token}",
    }),
    cost: metrics.counter("headgate_cost_dollars_total", {
      help: "What was used, at its price.",
      labels: target,
      limit: LIMIT,
      divisor: 1e9,
    }),
    unpriced: metrics.counter("headgate_unknown_price_total", {
      help: "Attempts whose use has no known price.",
      labels: target,
      limit: LIMIT,
    }),
    genaiDuration: metrics.histogram(genai.OPERATION_DURATION, {
      help: "GenAI operation duration: one attempt at a provider.",
      labels: [...genaiTarget, genai.ERROR_TYPE],
      limit: LIMIT,
      buckets: genai.DURATION_BUCKETS,
      unit: "s",
    }),
    genaiFirstChunk: metrics.histogram(genai.TIME_TO_FIRST_CHUNK, {
      help: "From an attempt's start to the first content of its stream.",
      labels: genaiTarget,
      limit: LIMIT,
      buckets: genai.DURATION_BUCKETS,
      unit: "s",
    }),
    genaiTokens: metrics.histogram(genai.TOKEN_USAGE, {
      help: "Number of input and output tokens used.",
      labels: [...genaiTarget, genai.TOKEN_TYPE],
      limit: LIMIT,
      buckets: genai.TOKEN_BUCKETS,
      unit: "{token}",
    }),
  };
}

/** Turns exchanges into measurements, in one pass when they have settled. */
export class Recorder {
  readonly #to: ReturnType<typeof instruments>;
  readonly #catalogue: Catalogue;

  constructor(metrics: Metrics, catalogue: Catalogue) {
    this.#to = instruments(metrics);
    this.#catalogue = catalogue;
  }

  /** A call has arrived; {@link end} follows for each. */
  begin(): void {
    this.#to.inFlight.add(1);
  }

  /** `now` in monotonic ms. */
  end(exchange: Exchange, outcome: Outcome, now: number): void {
    const to = this.#to;
    to.inFlight.add(-1);
    const { operation, dialect, attempts, startedAt, timings } = exchange;
    const last = attempts.at(-1);
    const { provider, model } = this.known(exchange);
    const labels = { operation, dialect, provider, model, status: String(outcome.status), outcome: outcome.kind };
    const streamed = exchange.request.stream === true;

    to.requests.add(1, labels);
    to.duration.record((now - startedAt) / 1000, labels);
    if (streamed && last?.firstContentAt !== undefined) to.firstToken.record((last.firstContentAt - startedAt) / 1000, labels);
    let waited = 0;
    for (const attempt of attempts) {
      const ms = (attempt.endedAt ?? now) - attempt.startedAt;
      waited += ms;
      this.#attempt(exchange, attempt, ms, streamed);
    }
    to.overhead.record(Math.max(0, now - startedAt - waited) / 1000, labels);
    for (const { plugin, ms } of timings) to.plugin.record(ms / 1000, { plugin });
  }

  /**
   * A target in label values, of which clients cannot make up more: a model that is neither listed nor the config's choice
   * (then it is not what the client named) is `other`.
   */
  known(exchange: Exchange, target: Target | undefined = targetOf(exchange)): Target {
    if (!target) return { provider: "none", model: "other" };
    const bounded = this.#catalogue.find(target) || !exchange.requestedModel.endsWith(target.model);
    return bounded ? target : { provider: target.provider, model: "other" };
  }

  #attempt(exchange: Exchange, attempt: Attempt, ms: number, streamed: boolean): void {
    const to = this.#to;
    const { provider, model } = this.known(exchange, attempt.target);
    const error = attempt.error?.code ?? "";
    const genaiLabels = {
      [genai.OPERATION]: exchange.operation,
      [genai.PROVIDER]: genai.providerName(provider),
      [genai.REQUEST_MODEL]: model,
      [genai.ERROR_TYPE]: error,
    };
    to.attempts.add(1, { provider, model, error });
    to.genaiDuration.record(ms / 1000, genaiLabels);
    if (streamed && attempt.firstContentAt !== undefined) {
      to.genaiFirstChunk.record((attempt.firstContentAt - attempt.startedAt) / 1000, genaiLabels);
    }
    if (attempt.usage) this.#usage(attempt.target, attempt.usage, { provider, model }, genaiLabels);
  }

  #usage(target: Target, usage: Usage, { provider, model }: Target, genaiLabels: Labels): void {
    const { tokens, cost, unpriced, genaiTokens } = this.#to;
    for (const [type, field] of TOKEN_TYPES) tokens.add(usage[field], { provider, model, type });
    genaiTokens.record(usage.inputTokens, { ...genaiLabels, [genai.TOKEN_TYPE]: "input" });
    genaiTokens.record(usage.outputTokens, { ...genaiLabels, [genai.TOKEN_TYPE]: "output" });
    const nanoDollars = this.#catalogue.cost(target, usage);
    if (nanoDollars === null) unpriced.add(1, { provider, model });
    else cost.add(nanoDollars, { provider, model });
  }
}

/** Where a call went last, or would have gone. */
function targetOf({ attempts, target, targets }: Exchange): Target | undefined {
  return attempts.at(-1)?.target ?? target ?? targets[0];
}

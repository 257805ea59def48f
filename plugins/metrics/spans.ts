import {
  type Attributes,
  type Context,
  isSpanContextValid,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import type { Attempt, ChatReply, Exchange, Outcome, Target } from "headgate";
import * as genai from "./names.ts";

/** An exchange's target, or the given one of its targets, bounded. */
export type Known = (exchange: Exchange, target?: Target) => Target;

/**
 * Tells an ended exchange as spans: one for the call, a part of the client's trace where it sent a `traceparent`, and
 * below it one for each attempt. Usage stands on the attempts alone, so that adding up spans counts nothing twice. No
 * prompt and no answer is in them. `offset` turns monotonic into epoch ms; `known` bounds the model in names. Returns how
 * many spans were recorded: none when the client's trace is not sampled.
 */
export function emitSpans(
  tracer: Tracer,
  exchange: Exchange,
  outcome: Outcome,
  times: { readonly now: number; readonly offset: number },
  known: Known,
): number {
  const { operation, attempts } = exchange;
  const { model } = known(exchange);
  const call = tracer.startSpan(
    `${operation} ${model}`,
    { kind: SpanKind.SERVER, startTime: exchange.startedAt + times.offset, attributes: callAttributes(exchange, outcome) },
    parentOf(exchange),
  );
  const context = trace.setSpan(ROOT_CONTEXT, call);
  for (const attempt of attempts) {
    const isLast = attempt === attempts.at(-1);
    const attributes = {
      ...attemptAttributes(exchange, attempt),
      ...(isLast && outcome.kind === "complete" ? replyAttributes(exchange) : {}),
    };
    const startTime = attempt.startedAt + times.offset;
    const span = tracer.startSpan(
      `${operation} ${known(exchange, attempt.target).model}`,
      { kind: SpanKind.CLIENT, startTime, attributes },
      context,
    );
    if (attempt.error) span.setStatus({ code: SpanStatusCode.ERROR, message: attempt.error.code });
    span.end((attempt.endedAt ?? times.now) + times.offset);
  }
  if (outcome.kind === "failed" || outcome.kind === "cut") {
    call.setStatus({ code: SpanStatusCode.ERROR, message: outcome.error?.code ?? outcome.kind });
  }
  const recorded = call.isRecording() ? 1 + attempts.length : 0;
  call.end(times.now + times.offset);
  return recorded;
}

function callAttributes(exchange: Exchange, outcome: Outcome): Attributes {
  return defined({
    [genai.OPERATION]: exchange.operation,
    [genai.REQUEST_MODEL]: exchange.requestedModel,
    [genai.HTTP_STATUS]: outcome.status,
    [genai.ERROR_TYPE]: outcome.error?.code,
    "headgate.request.id": exchange.id,
    "headgate.dialect": exchange.dialect,
    "headgate.outcome": outcome.kind,
  });
}

function attemptAttributes(
  { operation, request }: Exchange,
  { id, target, startedAt, firstContentAt, status, usage, error }: Attempt,
): Attributes {
  const streamed = request.stream === true && firstContentAt !== undefined;
  return defined({
    [genai.OPERATION]: operation,
    [genai.PROVIDER]: genai.providerName(target.provider),
    [genai.REQUEST_MODEL]: target.model,
    [genai.REQUEST_MAX_TOKENS]: number(request.max_completion_tokens) ?? number(request.max_tokens),
    [genai.REQUEST_TEMPERATURE]: number(request.temperature),
    [genai.REQUEST_TOP_P]: number(request.top_p),
    [genai.REQUEST_CHOICES]: request.n === 1 ? undefined : number(request.n),
    [genai.RESPONSE_TIME_TO_FIRST_CHUNK]: streamed ? (firstContentAt - startedAt) / 1000 : undefined,
    [genai.USAGE_INPUT]: usage?.inputTokens,
    [genai.USAGE_OUTPUT]: usage?.outputTokens,
    [genai.USAGE_CACHE_READ]: usage?.cachedTokens,
    [genai.USAGE_CACHE_CREATION]: usage?.cacheWriteTokens,
    [genai.USAGE_REASONING]: usage?.reasoningTokens,
    [genai.HTTP_STATUS]: status,
    [genai.ERROR_TYPE]: error?.code,
    "headgate.attempt.id": id,
  });
}

/** What a whole chat answer says of itself. A stream has gone by unread, and is not held up to be read. */
function replyAttributes({ operation, reply }: Exchange): Attributes {
  if (operation !== "chat" || reply?.kind !== "json") return {};
  const { id, model, choices } = reply.body as ChatReply;
  return defined({
    [genai.RESPONSE_ID]: id,
    [genai.RESPONSE_MODEL]: model,
    [genai.RESPONSE_FINISH_REASONS]: choices.map((choice) => choice.finish_reason),
  });
}

/** https://www.w3.org/TR/trace-context/#traceparent-header */
function parentOf({ client }: Exchange): Context {
  const header = client.headers.traceparent;
  const [, traceId, spanId, flags] = (typeof header === "string" && /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(header)) || [];
  if (!traceId || !spanId || !flags) return ROOT_CONTEXT;
  const parent = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return isSpanContextValid(parent) ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT;
}

function number(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

function defined(attributes: Attributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}

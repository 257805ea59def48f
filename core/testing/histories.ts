import type { Usage } from "../dialects/canonical.ts";
import type { ScriptedUpstream } from "./scripted-upstream.ts";

/** What an answer says, read as plainly as can be and with none of the gateway's own readers. */
export interface SeenAnswer {
  readonly text: string;
  /** Whether it is whole by its own account: `[DONE]`, `message_stop`, or JSON that parses and is no error. */
  readonly ended: boolean;
  /** The error that it reports, if any. */
  readonly error: string | undefined;
}

/** One call as its client saw it. */
export interface ClientCall {
  /** Its number, which its prompt and its user agent carry, so that the other histories can be joined to it. */
  readonly call: number;
  /** Id of the key it came with, where the ledger is to say so. */
  readonly key?: string;
  readonly tenant?: string;
  /** 0 when there was no response. */
  readonly status: number;
  /** Everything received. */
  readonly raw: string;
  readonly answer: SeenAnswer;
  /** Whether the client itself left before the end. */
  readonly left: boolean;
  /** Whether the connection broke, or could not be made. */
  readonly broken: boolean;
}

/** One request as the scripted upstream saw it. */
export interface UpstreamRecord {
  /** Number of the client's call that it was made for; undefined when it carries none. */
  readonly call: number | undefined;
  /** Which provider it stands for, where there are several. */
  readonly upstream: string;
  readonly body: string;
  /** What it claimed to have used, if it claimed anything. */
  readonly usage: Usage | null;
  readonly answer: SeenAnswer;
}

/** One row of `usage_exchanges`, as far as it is joined. */
export interface LedgerExchange {
  readonly id: string;
  /** Carries the number of the call. */
  readonly userAgent: string | null;
  readonly key: string | null;
  /** Answered without a provider. */
  readonly cached: boolean;
  /** The gateway was killed before it ended: what it used is not known, and its attempts have no rows. */
  readonly unknown?: boolean;
}

/** One row of `usage_tries`, as far as it is joined; in the order of the attempts. */
export interface LedgerAttempt {
  readonly id: string;
  readonly exchange: string;
  /** Null when nothing was used. */
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  readonly estimated: boolean;
  /** Nano-dollars; null when no price is known. */
  readonly cost: number | null;
}

/** A quota's account at one moment. */
export interface QuotaAccount {
  readonly account: string;
  readonly unit: "tokens" | "money" | "requests";
  /** With everything bought on top. */
  readonly limit: number;
  readonly settled: number;
  readonly reserved: number;
  /** The calls whose attempts it has to have settled; not compared without. */
  covers?(exchange: LedgerExchange): boolean;
  /** Most that may have been settled for a call of which nothing more was heard; nothing by default. */
  readonly unknownAtMost?: number;
}

const CALL = /\[call (\d+)\]/;

/** What makes a prompt the one of call number `call`. */
export function marked(call: number, prompt = "Go on."): string {
  return `[call ${call}] ${prompt}`;
}

/** The number that a marked text carries. */
export function callIn(text: string | null | undefined): number | undefined {
  const number = CALL.exec(text ?? "")?.[1];
  return number === undefined ? undefined : Number(number);
}

/** What a scripted upstream wrote down, in order of arrival. Reads answers in OpenAI's and Anthropic's formats. */
export function upstreamHistory(upstream: ScriptedUpstream, name = "upstream"): UpstreamRecord[] {
  return upstream.calls.map(({ body, usage, sent }) => ({
    call: callIn(body),
    upstream: name,
    body,
    usage: usage ?? null,
    answer: readAnswer(Buffer.concat(sent).toString()),
  }));
}

interface Frame {
  readonly type?: string;
  readonly error?: unknown;
  readonly choices?: readonly { readonly delta?: Content; readonly message?: Content }[];
  readonly delta?: { readonly text?: string };
  readonly content?: readonly { readonly text?: string }[];
}

interface Content {
  readonly content?: string | null;
}

/** Reads an answer's bytes, whole or cut, in OpenAI's or Anthropic's format, streamed or not. */
export function readAnswer(raw: string): SeenAnswer {
  const frames = Array.from(raw.matchAll(/^data: ?(.*)$/gm), ([, data = ""]) => data.trim());
  if (frames.length === 0) {
    const body = parsed(raw);
    if (!body) return { text: "", ended: false, error: undefined };
    const error = errorOf(body);
    const content = body.content?.map(({ text = "" }) => text).join("");
    return { text: body.choices?.[0]?.message?.content ?? content ?? "", ended: error === undefined, error };
  }
  let text = "";
  let ended = false;
  let error: string | undefined;
  for (const data of frames) {
    const frame = parsed(data);
    if (data === "[DONE]" || frame?.type === "message_stop") ended = true;
    if (!frame) continue;
    error ??= errorOf(frame);
    text += frame.choices?.[0]?.delta?.content ?? (frame.type === "content_block_delta" ? frame.delta?.text : "") ?? "";
  }
  return { text, ended, error };
}

function errorOf({ error, type }: Frame): string | undefined {
  return error || type === "error" ? JSON.stringify(error ?? type) : undefined;
}

function parsed(text: string): Frame | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

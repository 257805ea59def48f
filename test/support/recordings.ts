import { existsSync, globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { JsonObject } from "headgate";
import type { AnswerDialect } from "headgate/testing";
import { parse } from "yaml";

/** Recorded provider traffic lies beside the checkout, where it is present; it is never part of it. */
export const SHARED = process.env.HEADGATE_SHARED ?? fileURLToPath(new URL("../../../shared", import.meta.url));

/** `describe.skipIf(!hasRecordings)`. */
export const hasRecordings = existsSync(`${SHARED}/fixtures`);
if (!hasRecordings) process.stderr.write("there is no ../shared/fixtures: tests that replay recorded traffic are skipped\n");

/** A whole recorded body of `fixtures/ai-sdk`. */
export function recordedBody(path: string): JsonObject {
  return JSON.parse(readFileSync(`${SHARED}/fixtures/ai-sdk/${path}`, "utf8")) as JsonObject;
}

/** The events of a recorded stream of `fixtures/ai-sdk`: each one's JSON text. None where there is no folder, for a skipped suite is still collected. */
export function recordedEvents(path: string): string[] {
  if (!hasRecordings) return [];
  return readFileSync(`${SHARED}/fixtures/ai-sdk/${path}`, "utf8").split("\n").filter(Boolean);
}

export interface RecordedResponse {
  readonly url: string;
  readonly status: number;
  /** A stream's raw text, or a whole body's JSON. */
  readonly text: string | undefined;
  readonly json: JsonObject | undefined;
}

/** The exchanges of one of `fixtures/cassettes`; none where there is no folder. */
export function cassette(path: string): RecordedResponse[] {
  if (!hasRecordings) return [];
  const { interactions } = parse(readFileSync(`${SHARED}/fixtures/cassettes/${path}`, "utf8")) as {
    interactions: {
      request: { uri: string };
      response: { status: { code: number }; body?: { string?: string }; parsed_body?: JsonObject };
    }[];
  };
  return interactions.map(({ request, response }) => ({
    url: request.uri,
    status: response.status.code,
    text: response.body?.string,
    json: response.parsed_body,
  }));
}

/** The factories of `headgate/providers` that the recordings call for. */
export type RecordedProvider = "openai" | "azure" | "openaiCompatible" | "groq" | "mistral" | "xai" | "anthropic" | "gemini" | "cohere";

/** One answer of a provider, as it was on the wire. */
export interface Recording {
  /** Its file; with its place in it where that holds several. */
  readonly name: string;
  readonly provider: RecordedProvider;
  readonly dialect: AnswerDialect;
  readonly operation: "chat" | "count_tokens";
  readonly status: number;
  readonly streamed: boolean;
  /** JSON texts: one for each event, or the whole body alone. */
  readonly events: readonly string[];
  /** The bytes in the provider's own framing: one piece for each event, then its terminator if it has one; or the whole body alone. */
  readonly wire: readonly Buffer[];
}

/** Whose answer it is, or why it is left out. */
type Origin = RecordedProvider | { readonly leftOut: string };

const RESPONSES = { leftOut: "OpenAI's Responses API, a dialect of a later issue" };
const BEDROCK = { leftOut: "Amazon Bedrock, a provider of a later issue" };

/** By path for files, by address for exchanges; the first that fits. */
const ORIGINS: readonly (readonly [pattern: RegExp, origin: Origin])[] = [
  [/^(ai-sdk\/openai\/responses|ai-sdk\/azure|cassettes\/openai_responses)\/|\/v1\/responses$/, RESPONSES],
  [/^(ai-sdk\/amazon-bedrock|cassettes\/bedrock)\//, BEDROCK],
  [/\/fileSearchStores\b/, { leftOut: "Google's file store, which is no call to a model" }],
  [/^ai-sdk\/openai\/chat\/azure-/, "azure"],
  [/^ai-sdk\/openai\/|^https:\/\/api\.openai\.com\//, "openai"],
  [/^ai-sdk\/openai-compatible\/chat\/xai-/, "xai"],
  [/^ai-sdk\/openai-compatible\/|^https:\/\/generativelanguage\.googleapis\.com\/v1beta\/openai\//, "openaiCompatible"],
  [/^ai-sdk\/groq\/|^https:\/\/api\.groq\.com\//, "groq"],
  [/^ai-sdk\/mistral\//, "mistral"],
  [/^ai-sdk\/anthropic\/|^https:\/\/api\.anthropic\.com\//, "anthropic"],
  [/^ai-sdk\/google\/|^https:\/\/(generativelanguage|aiplatform)\.googleapis\.com\//, "gemini"],
  [/^ai-sdk\/cohere\//, "cohere"],
];

const DIALECTS: Partial<Record<RecordedProvider, AnswerDialect>> = { anthropic: "anthropic-messages", gemini: "gemini", cohere: "cohere" };

function originOf(place: string): Origin {
  const found = ORIGINS.find(([pattern]) => pattern.test(place));
  if (!found) throw new Error(`whose recording is ${place}?`);
  return found[1];
}

/** Every recording there is: those to replay, and how many are left out for which reason. None where there is no folder. */
export function allRecordings(): { readonly replayed: readonly Recording[]; readonly leftOut: ReadonlyMap<string, number> } {
  const replayed: Recording[] = [];
  const leftOut = new Map<string, number>();
  const take = (origin: Origin, recording: (provider: RecordedProvider) => Recording) => {
    if (typeof origin === "string") replayed.push(recording(origin));
    else leftOut.set(origin.leftOut, (leftOut.get(origin.leftOut) ?? 0) + 1);
  };
  const files = hasRecordings ? globSync("{ai-sdk,cassettes}/**/*.{json,txt,sse,yaml}", { cwd: `${SHARED}/fixtures` }).toSorted() : [];
  for (const file of files) {
    const origin = file.endsWith(".yaml") && !/^cassettes\/(openai_responses|bedrock)\//.test(file) ? undefined : originOf(file);
    if (origin) {
      take(origin, (provider) => fromFile(file, provider));
      continue;
    }
    for (const [index, response] of cassette(file.slice("cassettes/".length)).entries()) {
      take(originOf(response.url), (provider) => fromCassette(`${file}#${index + 1}`, response, provider));
    }
  }
  return { replayed, leftOut };
}

function fromFile(name: string, provider: RecordedProvider): Recording {
  const bytes = readFileSync(`${SHARED}/fixtures/${name}`);
  const status = name.endsWith("-error.json") ? 400 : 200;
  const dialect = DIALECTS[provider] ?? "openai-chat";
  const about = { name, provider, dialect, operation: "chat", status } as const;
  if (name.endsWith(".json")) return { ...about, streamed: false, events: [bytes.toString()], wire: [bytes] };
  if (name.endsWith(".sse")) return { ...about, streamed: true, ...framed(`${bytes.toString().trimEnd()}\n\n`) };
  const events = bytes.toString().split("\n").filter(Boolean);
  const frames = events.map((event) => frame(dialect, event));
  return {
    ...about,
    streamed: true,
    events,
    wire: (dialect === "openai-chat" ? [...frames, "data: [DONE]\n\n"] : frames).map(Buffer.from),
  };
}

function fromCassette(name: string, { url, status, text, json }: RecordedResponse, provider: RecordedProvider): Recording {
  const operation = url.includes("/count_tokens") ? "count_tokens" : "chat";
  const about = { name, provider, dialect: DIALECTS[provider] ?? "openai-chat", operation, status } as const;
  if (text) return { ...about, streamed: true, ...framed(text) };
  const body = JSON.stringify(json);
  return { ...about, streamed: false, events: [body], wire: [Buffer.from(body)] };
}

/** An event as the provider puts it on the wire. */
function frame(dialect: AnswerDialect, event: string): string {
  if (dialect === "openai-chat") return `data: ${event}\n\n`;
  if (dialect === "gemini") return `data: ${event}\r\n\r\n`;
  return `event: ${(JSON.parse(event) as { type: string }).type}\ndata: ${event}\n\n`;
}

function framed(text: string): Pick<Recording, "events" | "wire"> {
  const frames = text.match(/[\s\S]*?\r?\n\r?\n/g) ?? [];
  const events = frames.map((each) => /^data: (.*?)\r?$/m.exec(each)?.[1] ?? "");
  return { events: events.filter((each) => each !== "[DONE]"), wire: frames.map((each) => Buffer.from(each)) };
}

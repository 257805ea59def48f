import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { JsonObject } from "headgate";
import { parse } from "yaml";

/** Recorded provider traffic lies beside the checkout, where it is present; it is never part of it. */
const FOLDER = process.env.HEADGATE_SHARED ?? fileURLToPath(new URL("../../../shared", import.meta.url));

/** `describe.skipIf(!hasRecordings)`. */
export const hasRecordings = existsSync(`${FOLDER}/fixtures`);
if (!hasRecordings) process.stderr.write("there is no ../shared/fixtures: tests that replay recorded traffic are skipped\n");

/** A whole recorded body of `fixtures/ai-sdk`. */
export function recordedBody(path: string): JsonObject {
  return JSON.parse(readFileSync(`${FOLDER}/fixtures/ai-sdk/${path}`, "utf8")) as JsonObject;
}

/** The events of a recorded stream of `fixtures/ai-sdk`: each one's JSON text. */
export function recordedEvents(path: string): string[] {
  return readFileSync(`${FOLDER}/fixtures/ai-sdk/${path}`, "utf8").split("\n").filter(Boolean);
}

export interface RecordedResponse {
  readonly url: string;
  /** A stream's raw text, or a whole body's JSON. */
  readonly text: string | undefined;
  readonly json: JsonObject | undefined;
}

/** The exchanges of one of `fixtures/cassettes`. */
export function cassette(path: string): RecordedResponse[] {
  const { interactions } = parse(readFileSync(`${FOLDER}/fixtures/cassettes/${path}`, "utf8")) as {
    interactions: { request: { uri: string }; response: { body?: { string?: string }; parsed_body?: JsonObject } }[];
  };
  return interactions.map(({ request, response }) => ({
    url: request.uri,
    text: response.body?.string,
    json: response.parsed_body,
  }));
}

import { ERRORS, type ErrorCode } from "headgate";
import { expect } from "vitest";
import { z } from "zod";

/** An answer, however it was fetched; header names are lower-case. */
export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

export type ErrorShape = "openai" | "anthropic";

const openai = z.strictObject({
  error: z.strictObject({
    message: z.string().min(1),
    type: z.enum(typesOf("openai")),
    param: z.string().nullable(),
    code: z.enum(Object.keys(ERRORS) as ErrorCode[]),
  }),
});
const anthropic = z.strictObject({
  type: z.literal("error"),
  error: z.strictObject({ type: z.enum(typesOf("anthropic")), message: z.string().min(1) }),
  request_id: z.string().regex(/^req_\w+$/),
});

/** What an error may never show: credentials, stacks, paths, hosts, and the words of libraries and of Node. */
const LEAKS = [
  /sk-[\w-]+/,
  /\bat (?!\d{4}-).+:\d+:\d+/,
  /node:|node_modules|undici|UND_ERR|HPE_|ERR_[A-Z]/,
  /\.[cm]?[jt]s\b/,
  /(?:\/(?:home|root|tmp|usr|var|etc|opt|proc|Users)\/)/,
  /\b(?:ECONN|EPIPE|ENOTFOUND|EAI_)\w*/,
  /127\.0\.0\.1|localhost|::1/,
  /is not a function|undefined \(reading|Unexpected token|SELECT /,
];

/** The path's shape: Anthropic's routes have their own, everything else OpenAI's. */
export function shapeOf(path: string): ErrorShape {
  return path.startsWith("/v1/messages") ? "anthropic" : "openai";
}

/**
 * Checks an error against everything that holds for all of them: its shape, its headers, its row in the table, and that it
 * gives nothing away. `request` is what was sent: quoting that back is no leak. Returns the row's code where the shape says it.
 */
export function expectError(
  answer: Answered,
  shape: ErrorShape,
  request = "",
): { code: ErrorCode | undefined; message: string; param: string | null } {
  const { status, headers, body } = answer;
  expect(status, body).toBeGreaterThanOrEqual(400);
  expect(headers["content-type"]).toBe("application/json");
  expect(headers["x-content-type-options"]).toBe("nosniff");
  expect(headers["x-request-id"]).toMatch(/^req_\w+$/);
  expect(headers["request-id"]).toBe(headers["x-request-id"]);
  for (const leak of LEAKS) {
    const shown = leak.exec(body)?.[0];
    if (shown !== undefined && !request.includes(shown)) expect.fail(`an error body shows "${shown}": ${body}`);
  }
  const { code, type, message, param } = shape === "openai" ? readOpenAi(body) : readAnthropic(body, headers["x-request-id"]);
  const rows = Object.entries(ERRORS).filter(([name, row]) => row[shape] === type && (code === undefined || name === code));
  const own = rows.filter(([name, row]) => row.status === status || name === "upstream_rejected");
  expect(own.length, `${status} ${type} is in the table`).toBeGreaterThan(0);
  expectRetryHeaders(
    answer,
    own.map(([, row]) => row.retry),
  );
  return { code, message, param };
}

function readOpenAi(body: string) {
  return openai.parse(JSON.parse(body)).error;
}

function readAnthropic(body: string, requestId: string | undefined) {
  const { error, request_id: id } = anthropic.parse(JSON.parse(body));
  expect(id).toBe(requestId);
  return { ...error, code: undefined, param: null };
}

/** What cannot be mended by trying again says so; a refusal that can says when, in at most a minute, twice alike. */
function expectRetryHeaders({ status, headers }: Answered, verdicts: readonly boolean[]): void {
  const after = headers["retry-after"];
  if (headers["x-should-retry"] !== undefined) {
    expect(headers["x-should-retry"]).toBe("false");
    expect(verdicts.includes(false) || status === 429, "the table forbids the retry").toBe(true);
    expect(after).toBeUndefined();
    return;
  }
  expect(verdicts, "the table allows the retry").toContain(true);
  if (status === 429 || status === 503) expect(after).toBeDefined();
  if (after === undefined) return expect(headers["retry-after-ms"]).toBeUndefined();
  expect(after).toMatch(/^\d{1,2}$/);
  expect(Number(after)).toBeLessThanOrEqual(60);
  expect(Number(after)).toBe(Math.ceil(Number(headers["retry-after-ms"]) / 1000));
}

function typesOf(shape: ErrorShape): [string, ...string[]] {
  return [...new Set(Object.values(ERRORS).map((row) => row[shape]))] as [string, ...string[]];
}

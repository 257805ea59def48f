import { createGzip } from "node:zlib";
import type { Usage } from "../dialects/canonical.ts";
import { bytesOf, isWait, type Script, type Step, type Wait } from "./scripted-upstream.ts";

interface Extras {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly usage?: Usage;
}

/** A step that lasts until the test opens it. */
export interface Gate extends Wait {
  open(): void;
}

export function gate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { until: promise, open: resolve };
}

/** A step that lasts until the client leaves. */
export function forever(): Wait {
  return { until: new Promise(() => undefined) };
}

export function json(value: unknown, extras: Extras = {}): Script {
  return { ...extras, headers: { "content-type": "application/json", ...extras.headers }, body: JSON.stringify(value) };
}

/** Server-sent events; `frames` are whole frames with their blank lines, and gates between them. */
export function sse(frames: Iterable<Step> | AsyncIterable<Step>, extras: Extras = {}): Script {
  return { ...extras, headers: { "content-type": "text/event-stream; charset=utf-8", ...extras.headers }, body: frames };
}

export function redirect(location: string, status = 307): Script {
  return { status, headers: { location }, body: "" };
}

/** Accepts the request and says nothing. */
export function silence(): Script {
  return { wait: forever() };
}

/** Sends the head of a stream and says nothing more. */
export function silenceAfterHead(): Script {
  return sse([forever()]);
}

/**
 * The same script, broken off after so many steps or bytes of its body. A whole body keeps the length it announced, so
 * that it comes up short. Bytes that the client has not read when the connection is reset may be lost, as on any network.
 */
export function cut(script: Script, after: { readonly steps: number } | { readonly bytes: number }, end: "fin" | "reset" = "fin"): Script {
  const { body = "" } = script;
  if (typeof body !== "string" && !(body instanceof Uint8Array)) return { ...script, body: firstOf(body, after), end };
  const bytes = bytesOf(body);
  const headers = { ...script.headers, "content-length": String(bytes.length) };
  return { ...script, headers, body: firstOf([bytes], after), end };
}

/** A gzip body of a few kilobytes that unfolds to `bytes` zeros. */
export async function gzipBomb(bytes: number): Promise<Script> {
  const zeros = Buffer.alloc(1024 * 1024);
  const gzip = createGzip({ level: 9 });
  const feed = async () => {
    for (let left = bytes; left > 0; left -= zeros.length) {
      if (!gzip.write(zeros.subarray(0, left))) await new Promise<void>((resolve) => gzip.once("drain", resolve));
    }
    gzip.end();
  };
  const fed = feed();
  const chunks: Buffer[] = [];
  for await (const chunk of gzip) chunks.push(chunk);
  await fed;
  return { headers: { "content-type": "application/json", "content-encoding": "gzip" }, body: Buffer.concat(chunks) };
}

/** An event stream whose one line never ends, `bytes` long. */
export function hugeLine(bytes: number): Script {
  const piece = Buffer.alloc(64 * 1024, "x");
  return sse(
    (function* () {
      yield "data: ";
      for (let left = bytes; left > 0; left -= piece.length) yield piece.subarray(0, left);
    })(),
  );
}

async function* firstOf(
  steps: Iterable<Step> | AsyncIterable<Step>,
  after: { readonly steps: number } | { readonly bytes: number },
): AsyncGenerator<Step> {
  let stepsLeft = "steps" in after ? after.steps : Infinity;
  let bytesLeft = "bytes" in after ? after.bytes : Infinity;
  if (stepsLeft <= 0 || bytesLeft <= 0) return;
  for await (const step of steps) {
    if (isWait(step)) {
      yield step;
      continue;
    }
    const bytes = bytesOf(step);
    yield bytes.subarray(0, bytesLeft);
    stepsLeft -= 1;
    bytesLeft -= bytes.length;
    if (stepsLeft <= 0 || bytesLeft <= 0) return;
  }
}

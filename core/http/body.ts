import { isUtf8 } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import type { Json, JsonObject } from "../dialects/canonical.ts";
import { GatewayError } from "../errors.ts";

const DECODERS: ReadonlyMap<string, () => Transform> = new Map([
  ["gzip", () => createGunzip()],
  ["deflate", () => createInflate()],
  ["br", () => createBrotliDecompress()],
]);

export interface BodyLimits {
  readonly bodyBytes: number;
  readonly jsonDepth: number;
}

/**
 * The request's JSON object. Refuses by headers alone what headers give away (415, 413), counts what is inflated, and
 * checks encoding and depth. `undefined` for an empty body.
 */
export async function readJson(request: IncomingMessage, response: ServerResponse, limits: BodyLimits): Promise<JsonObject | undefined> {
  if (request.headers["transfer-encoding"] === undefined && Number(request.headers["content-length"] ?? 0) === 0) return undefined;
  checkType(request.headers["content-type"]);
  const decode = decoder(request.headers["content-encoding"]);
  if (Number(request.headers["content-length"] ?? 0) > limits.bodyBytes) throw tooLarge(limits);
  if (request.headers.expect?.toLowerCase() === "100-continue") response.writeContinue();
  return parseJson(await collect(request, decode?.(), limits), limits);
}

function checkType(type: string | undefined): void {
  if (type === undefined || !/^application\/json\s*(?:;\s*charset="?utf-8"?\s*)?$/i.test(type))
    throw new GatewayError("unsupported_media_type");
}

function decoder(encoding: string | undefined): (() => Transform) | undefined {
  if (encoding === undefined || encoding === "" || encoding.toLowerCase() === "identity") return undefined;
  const decode = DECODERS.get(encoding.toLowerCase());
  if (!decode) throw new GatewayError("unsupported_media_type", { message: "content-encoding may be gzip, deflate or br, once." });
  return decode;
}

function tooLarge(limits: BodyLimits): GatewayError {
  return new GatewayError("body_too_large", { message: `The body is larger than ${limits.bodyBytes} bytes.` });
}

/** The whole body in memory, at most `bodyBytes` of it, inflated when `inflate` is given. */
function collect(request: IncomingMessage, inflate: Transform | undefined, limits: BodyLimits): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const source = inflate ? request.pipe(inflate) : request;
    const chunks: Buffer[] = [];
    let length = 0;
    const fail = (error: GatewayError) => {
      source.removeListener("data", take);
      if (inflate) {
        request.unpipe(inflate);
        inflate.destroy();
      }
      request.pause();
      reject(error);
    };
    const take = (chunk: Buffer) => {
      length += chunk.length;
      if (length > limits.bodyBytes) return fail(tooLarge(limits));
      chunks.push(chunk);
    };
    source.on("data", take);
    source.once("end", () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, length)));
    inflate?.once("error", (cause) => fail(new GatewayError("invalid_encoding", { cause })));
    request.once("error", (cause) => fail(new GatewayError("client_closed", { cause })));
    request.once("close", () => {
      if (!request.complete) fail(new GatewayError("client_closed"));
    });
  });
}

function parseJson(bytes: Buffer, limits: BodyLimits): JsonObject {
  if (!isUtf8(bytes)) throw new GatewayError("invalid_json", { message: "The body is not valid UTF-8." });
  const bom = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  let parsed: Json;
  try {
    parsed = JSON.parse(bytes.toString("utf8", bom)) as Json;
  } catch (cause) {
    throw new GatewayError("invalid_json", { cause });
  }
  if (parsed === null || typeof parsed !== "object" || Array.isArray(parsed)) {
    throw new GatewayError("invalid_json", { message: "The body has to be a JSON object." });
  }
  checkDepth(parsed, limits.jsonDepth);
  return parsed as JsonObject;
}

function checkDepth(value: object, left: number): void {
  if (left === 0) throw new GatewayError("json_too_deep");
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === "object" && item !== null) checkDepth(item, left - 1);
    return;
  }
  for (const key in value) {
    const item = (value as Record<string, unknown>)[key];
    if (typeof item === "object" && item !== null) checkDepth(item, left - 1);
  }
}

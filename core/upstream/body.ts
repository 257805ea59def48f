import type { Json, JsonObject } from "../dialects/canonical.ts";
import { GatewayError } from "../errors.ts";
import type { UpstreamResponse } from "./client.ts";

/** A whole body in memory; GatewayError `upstream_invalid` when it is larger than `limit` bytes, or says that it will be. */
export async function readAll({ headers, body }: Pick<UpstreamResponse, "headers" | "body">, limit: number): Promise<Buffer> {
  const tooLarge = () => {
    body.destroy();
    return new GatewayError("upstream_invalid", { cause: new Error(`the answer is larger than ${limit} bytes`) });
  };
  if (Number(headers["content-length"] ?? 0) > limit) throw tooLarge();
  const pieces: Buffer[] = [];
  let length = 0;
  for (let piece = await body.read(); piece; piece = await body.read()) {
    length += piece.length;
    if (length > limit) throw tooLarge();
    pieces.push(piece);
  }
  return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces, length);
}

/** A JSON object, or GatewayError `upstream_invalid`. */
export function parseObject(bytes: Buffer): JsonObject {
  let parsed: Json;
  try {
    parsed = JSON.parse(bytes.toString("utf8")) as Json;
  } catch {
    // The parser's own message quotes the text, which may quote the prompt.
    throw new GatewayError("upstream_invalid", { cause: new Error(`the answer is not JSON (${bytes.length} bytes)`) });
  }
  if (parsed === null || typeof parsed !== "object" || Array.isArray(parsed)) {
    throw new GatewayError("upstream_invalid", { cause: new Error("the answer is not a JSON object") });
  }
  return parsed as JsonObject;
}

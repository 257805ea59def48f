import type { GatewayError } from "../errors.ts";
import { ANTHROPIC } from "./anthropic-content.ts";
import { ownPath } from "./anthropic-paths.ts";
import { readAnthropicUsage, readCount, readErrorBody, readReply, writeReply } from "./anthropic-reply.ts";
import { readRequest } from "./anthropic-request.ts";
import { AnthropicStreamReader } from "./anthropic-stream.ts";
import { patchRequest, writeRequest } from "./anthropic-write.ts";
import { AnthropicStreamWriter } from "./anthropic-writer.ts";
import type { ChatReply, ChatRequest, JsonObject, Usage } from "./canonical.ts";
import type { ClientDialect, Dialect, UpstreamDialect } from "./dialect.ts";

/** Counting generates nothing and Anthropic bills nothing for it. */
const FREE: Usage = { inputTokens: 0, outputTokens: 0, cachedTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };

const client: ClientDialect = {
  routes: [
    { method: "POST", path: "/v1/messages", operation: "chat" },
    { method: "POST", path: "/v1/messages/count_tokens", operation: "count_tokens" },
  ],
  readRequest: (operation, body) => readRequest(body, operation === "count_tokens"),
  writeReply: (operation, reply) => (operation === "chat" ? writeReply(reply as ChatReply) : (reply as unknown as JsonObject)),
  streamWriter: () => new AnthropicStreamWriter(),
  ownPath,
  errorBody: writeError,
  errorEvent: (error, requestId) => `event: error\ndata: ${JSON.stringify(writeError(error, requestId))}\n\n`,
};

const upstream: UpstreamDialect = {
  forwardedHeaders: ["anthropic-beta"],
  path: (operation) => (operation === "chat" ? "/v1/messages" : operation === "count_tokens" ? "/v1/messages/count_tokens" : null),
  writeRequest: (operation, request, model) => writeRequest(operation, request as ChatRequest, model),
  patchRequest: (operation, wire, original, request, model) =>
    patchRequest(operation, wire, original as ChatRequest, request as ChatRequest, model),
  readReply: (operation, body, request) => (operation === "count_tokens" ? readCount(body) : readReply(body, request.model)),
  readUsage: (operation, body) => (operation === "count_tokens" ? FREE : readAnthropicUsage(body.usage)),
  streamReader: ({ model }) => new AnthropicStreamReader(model),
  readError: (_, body) => readErrorBody(body),
};

/** Anthropic's Messages (https://docs.anthropic.com/en/api/messages) and its token counting. */
export const anthropicMessages: Dialect = { name: ANTHROPIC, client, upstream };

/** What Anthropic calls a rejection with these statuses; a provider's own status is relayed. */
const REJECTIONS = new Map([
  [404, "not_found_error"],
  [413, "request_too_large"],
]);

function writeError(error: GatewayError, requestId: string): JsonObject {
  // There is no `param` here, so the field at fault is named in the text, where it is the canonical one.
  const message = error.param === null ? error.message : error.message.replace(`"${error.param}"`, `"${ownPath(error.param)}"`);
  const type = (error.code === "upstream_rejected" && REJECTIONS.get(error.status)) || error.type("anthropic");
  return { type: "error", error: { type, message }, request_id: requestId };
}

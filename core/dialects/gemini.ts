import type { Dialect } from "./dialect.ts";
import { readGemini, readGeminiError, readGeminiUsage } from "./gemini-reply.ts";
import { writeGemini } from "./gemini-request.ts";
import { GeminiStreamReader } from "./gemini-stream.ts";

/**
 * Google's Gemini API (https://ai.google.dev/api/generate-content), below `…/v1beta`. Upstream half.
 *
 * - Thoughts are `reasoning_content`; a function call's thought signature travels as
 *   `tool_calls[].extra_content.google.thought_signature`, and a call without one gets the placeholder Google names.
 *   Signatures on plain text, which Gemini does not ask to have back, are left out.
 * - A filtered answer, or a prompt that was blocked, ends with `content_filter`; a broken one is an error.
 * - Citations, grounding and safety ratings have no canonical form and are left out.
 */
export const gemini: Dialect = {
  name: "gemini",
  upstream: {
    path(operation, model, stream) {
      const resource = `/models/${encodeURIComponent(model)}`;
      if (operation === "chat") return resource + (stream ? ":streamGenerateContent?alt=sse" : ":generateContent");
      if (operation === "embeddings") return `${resource}:batchEmbedContents`;
      return operation === "count_tokens" ? `${resource}:countTokens` : null;
    },
    writeRequest: writeGemini,
    // Nothing speaks this dialect to us yet, so there is no body of its own to keep.
    patchRequest: (operation, _wire, _original, request, model) => writeGemini(operation, request, model),
    readReply: readGemini,
    readUsage: readGeminiUsage,
    streamReader: (context) => new GeminiStreamReader(context),
    readError: (_status, body) => readGeminiError(body),
  },
};

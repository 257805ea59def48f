import { readCohere, readCohereError, readCohereUsage } from "./cohere-reply.ts";
import { writeCohere } from "./cohere-request.ts";
import { CohereStreamReader } from "./cohere-stream.ts";
import type { Dialect } from "./dialect.ts";

/**
 * Cohere's API, version 2 (https://docs.cohere.com/reference/chat). Upstream half.
 *
 * - The tool plan and thinking blocks are `reasoning_content`.
 * - Usage is what Cohere bills (`billed_units`).
 * - Citations have no canonical form and are left out.
 */
export const cohere: Dialect = {
  name: "cohere",
  upstream: {
    path(operation) {
      if (operation === "chat") return "/v2/chat";
      return operation === "embeddings" ? "/v2/embed" : null;
    },
    writeRequest: writeCohere,
    // Nothing speaks this dialect to us yet, so there is no body of its own to keep.
    patchRequest: (operation, _wire, _original, request, model) => writeCohere(operation, request, model),
    readReply: readCohere,
    readUsage: readCohereUsage,
    streamReader: (context) => new CohereStreamReader(context),
    readError: (_status, body) => readCohereError(body),
  },
};

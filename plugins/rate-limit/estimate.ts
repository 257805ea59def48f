import { askedOutput, type Catalogue, type ChatRequest, type Exchange, type Outcome, outputBound } from "headgate";

/** Bytes of text to a token, roughly. */
const BYTES_PER_TOKEN = 4;
/** What an image, a recording or a document is taken for, whatever its size. */
const PER_FILE = 1_000;
/** Where requests have files, as base64 or as an address; the length of neither says much. */
const FILE_KEYS: ReadonlySet<string> = new Set(["data", "url", "image_url", "file_data"]);
/** Output of a model that has not answered yet. */
const UNKNOWN_OUTPUT = 1_000;
/** Most models remembered. */
const MOST = 1_000;
/** Weight of the newest answer. */
const WEIGHT = 0.1;

/** What a call may use, in tokens. */
export interface Estimate {
  readonly input: number;
  readonly output: number;
  /** Whether the call states its greatest output, so that `output` is no guess. */
  readonly stated: boolean;
}

/** Estimates what calls will use from their text, the output they ask for, and what their models usually answer. */
export class Estimator {
  readonly #catalogue: Catalogue;
  /** Exponential averages. */
  readonly #usual = new Map<string, number>();

  constructor(catalogue: Catalogue) {
    this.#catalogue = catalogue;
  }

  of({ operation, wire, request, targets, requestedModel }: Exchange): Estimate {
    const input = Math.ceil(textBytes(wire, "") / BYTES_PER_TOKEN);
    if (operation !== "chat") return { input, output: 0, stated: true };
    const chat = request as ChatRequest;
    const usual = this.#usual.get(targets[0]?.model ?? requestedModel) ?? UNKNOWN_OUTPUT;
    const output = Math.ceil(outputBound(chat, targets, this.#catalogue, usual));
    return { input, output, stated: askedOutput(chat) !== undefined };
  }

  /** Learns from a call that has ended. */
  learn({ attempts }: Exchange): void {
    for (const { target, usage } of attempts) {
      if (!usage) continue;
      const usual = this.#usual.get(target.model);
      if (usual === undefined && this.#usual.size >= MOST) continue;
      this.#usual.set(target.model, usual === undefined ? usage.outputTokens : usual + WEIGHT * (usage.outputTokens - usual));
    }
  }
}

/** What a call did use. */
export function tokensOf({ usage }: Outcome): number {
  return usage ? usage.inputTokens + usage.outputTokens : 0;
}

/** Bytes of all texts in a request, and for each file and each number as much as its tokens are taken for. */
function textBytes(value: unknown, key: string): number {
  if (typeof value === "string") {
    return FILE_KEYS.has(key) ? PER_FILE * BYTES_PER_TOKEN : Buffer.byteLength(value);
  }
  // Embeddings take lists of tokens.
  if (typeof value === "number") return BYTES_PER_TOKEN;
  if (typeof value !== "object" || value === null) return 0;
  let sum = 0;
  if (Array.isArray(value)) for (const item of value) sum += textBytes(item, key);
  else for (const name in value) sum += name.length + textBytes((value as Record<string, unknown>)[name], name);
  return sum;
}

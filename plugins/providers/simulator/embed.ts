import type { EmbeddingsReply, EmbeddingsRequest, Tokens } from "headgate";
import { Refusal } from "./refusal.ts";

const DEFAULT_DIMENSIONS = 256;
const MOST_DIMENSIONS = 4_096;
const MOST_INPUTS = 2_048;

type Input = string | readonly number[];

export function embed(request: EmbeddingsRequest, tokens: Tokens): EmbeddingsReply {
  const { dimensions = DEFAULT_DIMENSIONS, encoding_format: format, model } = request;
  if (!Number.isInteger(dimensions) || dimensions < 1 || dimensions > MOST_DIMENSIONS) {
    throw new Refusal(400, `'dimensions' must be an integer from 1 to ${MOST_DIMENSIONS}.`, { param: "dimensions" });
  }
  const inputs = inputsOf(request.input);
  const used = inputs.reduce((sum, input) => sum + (typeof input === "string" ? tokens.text(input, model).tokens : input.length), 0);
  return {
    object: "list",
    data: inputs.map((input, index) => {
      const vector = vectorOf(input, dimensions);
      return { object: "embedding", index, embedding: format === "base64" ? base64(vector) : Array.from(vector) };
    }),
    model,
    usage: { prompt_tokens: used, total_tokens: used },
  };
}

/**
 * A unit vector in which texts that share words and spellings lie close: words and letter trigrams, hashed to a place and a
 * sign (Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009).
 */
function vectorOf(input: Input, dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions);
  const add = (feature: string, weight: number) => {
    const code = fnv1a(feature);
    vector[(code >>> 1) % dimensions] = (vector[(code >>> 1) % dimensions] ?? 0) + (code & 1 ? weight : -weight);
  };
  const text = typeof input === "string" ? input.toLowerCase() : input.join(" ");
  for (const word of text.match(/[\p{L}\p{N}]+/gu) ?? []) {
    add(word, 1);
    const framed = `^${word}$`;
    for (let at = 0; at + 3 <= framed.length; at++) add(framed.slice(at, at + 3), 0.5);
  }
  if (vector.every((part) => part === 0)) vector[fnv1a(text) % dimensions] = 1;
  const length = Math.sqrt(vector.reduce((sum, part) => sum + part * part, 0));
  return vector.map((part) => part / length);
}

function inputsOf(input: EmbeddingsRequest["input"]): readonly Input[] {
  const list = Array.isArray(input) && typeof input[0] !== "number" ? (input as readonly Input[]) : [input as Input];
  const valid = (each: Input) => (typeof each === "string" || Array.isArray(each)) && each.length > 0;
  if (list.length === 0 || list.length > MOST_INPUTS || !list.every(valid)) {
    throw new Refusal(400, `'input' must be a text, a list of tokens, or 1 to ${MOST_INPUTS} of either, none of them empty.`, {
      param: "input",
    });
  }
  return list;
}

/** Little-endian 32-bit floats, as OpenAI sends them. */
function base64(vector: Float32Array): string {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [index, part] of vector.entries()) bytes.writeFloatLE(part, index * 4);
  return bytes.toString("base64");
}

/** http://www.isthe.com/chongo/tech/comp/fnv/ with 32 bits, over UTF-16 code units. */
function fnv1a(text: string): number {
  let code = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) code = Math.imul(code ^ text.charCodeAt(at), 0x01000193);
  return code >>> 0;
}

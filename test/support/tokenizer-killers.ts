import { get_encoding } from "tiktoken";

const MB = 1_000_000;
const PIECE = 200;

/** Texts on which tokenizers take long, or estimates go wrong. */
export const KILLERS = {
  "one letter": "a".repeat(MB),
  underscores: "_".repeat(100_000),
  Chinese: "漢字仮名交じり文".repeat(5_000),
  "joined emoji": "👩‍👩‍👧‍👦🏳️‍🌈".repeat(3_000),
  "white space": " \n\t \u00a0".repeat(20_000),
  zalgo: "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚a̴̵̜̰͔ͫ͗͢".repeat(2_000),
  base64: Buffer.from(Uint8Array.from({ length: 300_000 }, (_, n) => (n * 7919) % 251)).toString("base64"),
  "control characters": "\u0001\u007f\ufffd".repeat(10_000),
};

const encoding = get_encoding("o200k_base");

/**
 * Tokens that a text has at least. Encoded piece by piece, which is never less than at once, but for one at each cut, and
 * spares the tokenizer its quadratic cases.
 */
export function tokensAtLeast(text: string): number {
  let tokens = 0;
  for (let at = 0; at < text.length; at += PIECE) tokens += encoding.encode(text.slice(at, at + PIECE), [], []).length - 1;
  return tokens;
}

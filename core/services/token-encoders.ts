import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Tiktoken } from "tiktoken/lite";
import { CACHE_FOLDER } from "../config/cache.ts";
import { loadMemory, saveMemory, type WasmMemory } from "./memory-image.ts";

export type Encoding = "o200k_base" | "cl100k_base";

interface Exports {
  readonly memory: WasmMemory;
}
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: Record<string, object>) => { readonly exports: Exports };
};

/** tiktoken's glue between JavaScript and its WebAssembly; it exports all of it. */
interface Glue {
  readonly Tiktoken: typeof Tiktoken;
  __wbg_set_wasm(exports: Exports): void;
}
/** Where in the module's memory the encoder is. */
interface Placed {
  readonly __wbg_ptr: number;
}

const require = createRequire(import.meta.url);
/** Immutable and large, so shared by all of the process and never freed. */
const encoders = new Map<Encoding, Tiktoken>();
let glue: Glue | undefined;

/**
 * The encoder of an encoding. To read 200,000 ranks and index them takes tiktoken half a second. So the memory of the module
 * that has done it is kept beside the installed packages, and the next process begins with that, in a tenth of the time.
 */
export function encoderOf(encoding: Encoding): Tiktoken {
  const encoder = encoders.get(encoding) ?? (glue ? build(glue, encoding) : begin(encoding));
  encoders.set(encoding, encoder);
  return encoder;
}

function begin(encoding: Encoding): Tiktoken {
  const wasm = require.resolve("tiktoken/lite/tiktoken_bg.wasm");
  const { version } = JSON.parse(readFileSync(join(dirname(wasm), "../package.json"), "utf8"));
  const image = join(CACHE_FOLDER, `tiktoken-${version}-${encoding}.memory`);
  const module = new WebAssembly.Module(readFileSync(wasm));
  const loaded: Glue = require("tiktoken/lite/init");
  const use = () => new WebAssembly.Instance(module, { "./tiktoken_bg.js": loaded }).exports;
  let exports = use();
  const place = loadMemory(image, exports.memory);
  if (place === undefined) exports = use();
  loaded.__wbg_set_wasm(exports);
  glue = loaded;
  if (place !== undefined) return Object.assign(Object.create(loaded.Tiktoken.prototype), { __wbg_ptr: place } satisfies Placed);
  const encoder = build(loaded, encoding);
  saveMemory(image, exports.memory, (encoder as unknown as Placed).__wbg_ptr);
  return encoder;
}

/** Reads the ranks as a file and not as a module, which would keep two megabytes of text for good. */
function build({ Tiktoken }: Glue, encoding: Encoding): Tiktoken {
  const { bpe_ranks, special_tokens, pat_str } = JSON.parse(readFileSync(require.resolve(`tiktoken/encoders/${encoding}.json`), "utf8"));
  return new Tiktoken(bpe_ranks, special_tokens, pat_str);
}

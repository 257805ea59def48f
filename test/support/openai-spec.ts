import { existsSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { expect } from "vitest";
import { SHARED } from "./recordings.ts";

const FILE = `${SHARED}/specs/openai-openapi.json.gz`;

/** `describe.skipIf(!hasSpec)`. */
export const hasSpec = existsSync(FILE);
if (!hasSpec) process.stderr.write("there is no ../shared/specs: answers are not compared with OpenAI's description\n");

export type OpenAiSchema =
  | "CreateChatCompletionResponse"
  | "CreateChatCompletionStreamResponse"
  | "CreateEmbeddingResponse"
  | "ErrorResponse"
  | "ListModelsResponse";

const validators = new Map<OpenAiSchema, ValidateFunction>();
let ajv: Ajv2020 | undefined;

/** Fails with all that is wrong unless OpenAI's own description allows the body. Does nothing where that is absent. */
export function expectOpenAi(schema: OpenAiSchema, body: unknown): void {
  if (!hasSpec) return;
  const validate = validators.get(schema) ?? compile(schema);
  validate(body);
  expect(validate.errors ?? [], `${schema}: ${JSON.stringify(body)}`).toEqual([]);
}

/** The same for a whole stream, with what the description says in words only: role first, usage last if asked for, `[DONE]`. */
export function expectOpenAiStream(text: string, { usage }: { readonly usage: boolean }): void {
  const frames = text.split("\n\n");
  expect(frames.slice(-2)).toEqual(["data: [DONE]", ""]);
  const chunks = frames.slice(0, -2).map((frame) => JSON.parse(frame.replace(/^data: /, "")) as Chunk);
  for (const chunk of chunks) expectOpenAi("CreateChatCompletionStreamResponse", chunk);
  expect(new Set(chunks.map(({ id, model, created }) => `${id} ${model} ${created}`)).size).toBe(1);
  const choices = chunks.flatMap((chunk) => chunk.choices);
  for (const index of new Set(choices.map((choice) => choice.index))) {
    const own = choices.filter((choice) => choice.index === index);
    expect(own[0]?.delta).toMatchObject({ role: "assistant" });
    expect(own.filter(({ finish_reason: finish }) => finish !== null)).toEqual(own.slice(-1));
  }
  const stated = chunks.filter((chunk) => chunk.usage);
  if (!usage) return expect(chunks.filter((chunk) => "usage" in chunk)).toEqual([]);
  expect(chunks.filter((chunk) => chunk.usage === undefined)).toEqual([]);
  expect(stated).toEqual(stated.length > 0 ? chunks.slice(-1) : []);
  expect(stated.flatMap((chunk) => chunk.choices)).toEqual([]);
}

interface Chunk {
  readonly id: string;
  readonly model: string;
  readonly created: number;
  readonly choices: readonly { readonly index: number; readonly delta: object; readonly finish_reason: string | null }[];
  readonly usage?: object | null;
}

function compile(schema: OpenAiSchema): ValidateFunction {
  if (!ajv) {
    ajv = new Ajv2020({ strict: false, validateSchema: false, validateFormats: false, allErrors: true });
    ajv.addSchema(patched(JSON.parse(gunzipSync(readFileSync(FILE)).toString())) as object, "openai");
  }
  const validate = ajv.compile({ $ref: `openai#/components/schemas/${schema}` });
  validators.set(schema, validate);
  return validate;
}

/** The description still says `nullable`, as OpenAPI 3.0 did. */
function patched(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(patched);
  if (typeof node !== "object" || node === null) return node;
  const { nullable, ...rest } = node as Record<string, unknown>;
  const inner = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, patched(value)]));
  return nullable === true ? { anyOf: [inner, { type: "null" }] } : { ...inner, ...(nullable !== undefined && { nullable }) };
}

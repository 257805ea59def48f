import fc from "fast-check";
import type { ChatRequest, EmbeddingsRequest } from "headgate";

const text = fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom("", "héllo 😀", "\u0000", "{", "null"));
/** Mostly the ordinary, now and then the other, so that most requests can be written. */
const seldom = <T, U>(ordinary: fc.Arbitrary<T>, other: fc.Arbitrary<U>) =>
  fc.oneof({ weight: 30, arbitrary: ordinary }, { weight: 1, arbitrary: other });
const json = fc.jsonValue({ maxDepth: 3 });
const args = seldom(
  fc.dictionary(fc.string({ maxLength: 5 }), json, { maxKeys: 3 }).map((value) => JSON.stringify(value)),
  text,
);
const url = fc.constantFrom(
  "data:image/png;base64,AAAA",
  "data:,plain",
  "https://img.example/a.png?x=1",
  "https://img.example/a",
  "nonsense",
);
const marker = fc.option(fc.constant({ type: "ephemeral" }), { nil: undefined });

const part = seldom(
  fc.oneof(
    fc.record({ type: fc.constant("text"), text, cache_control: marker }),
    fc.record({ type: fc.constant("image_url"), image_url: fc.record({ url, detail: fc.constantFrom(undefined, "auto", "low") }) }),
    fc.record({ type: fc.constant("refusal"), refusal: text }),
  ),
  fc.oneof(
    fc.record({ type: fc.constant("input_audio"), input_audio: fc.oneof(json, fc.constant({ data: "AAAA", format: "wav" })) }),
    fc.record({ type: fc.constant("file"), file: fc.oneof(json, fc.constant({ file_data: "data:application/pdf;base64,AAAA" })) }),
    fc.record({ type: fc.string({ maxLength: 8 }) }),
    fc.constant({ type: "foreign", dialect: "other", path: "messages.0.content.1", value: {} }),
  ),
);
const content = fc.oneof(text, fc.array(part, { maxLength: 3 }));
const id = fc.constantFrom("call_1", "call_2", "call_3");
const call = seldom(
  fc.record({ id, type: fc.constant("function"), function: fc.record({ name: fc.constantFrom("f", "g"), arguments: args }) }),
  fc.record({ id, type: fc.constant("custom"), custom: fc.constant({ name: "c", input: "x" }) }),
);
const detail = fc.oneof(
  fc.record({ type: fc.constant("thinking"), thinking: text, signature: fc.option(text, { nil: undefined }) }),
  fc.record({ type: fc.constant("redacted_thinking"), data: text }),
);
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const nullable = <T>(arbitrary: fc.Arbitrary<T>) => fc.oneof(fc.constant(null), fc.constant(undefined), arbitrary);

const result = fc.record({ role: fc.constant("tool"), tool_call_id: id, content, is_error: optional(fc.boolean()) });
const said = fc.record({ role: fc.constantFrom("system", "developer", "user"), content, name: nullable(text) });
const assistant = fc.record({
  role: fc.constant("assistant"),
  content: nullable(content),
  refusal: nullable(text),
  tool_calls: nullable(fc.array(call, { maxLength: 3 })),
  reasoning_content: nullable(text),
  reasoning_details: nullable(fc.array(detail, { maxLength: 2 })),
});
const strange = fc.oneof(result, fc.record({ role: fc.constant("function"), name: text, content: text }));
/** Turns, some of them with calls that are all answered. */
const turn = fc.oneof(
  fc.array(seldom(fc.oneof(said, assistant), strange), { maxLength: 3 }),
  fc
    .tuple(call, content, said)
    .map(([made, answer, next]) => [
      { role: "assistant", content: null, tool_calls: [made] },
      { role: "tool", tool_call_id: made.id, content: answer },
      next,
    ]),
);
const messages = fc
  .array(turn, { maxLength: 3 })
  .map((turns) => turns.flat())
  .filter((all) => all.length > 0);

const tool = seldom(
  fc.record({
    type: fc.constant("function"),
    function: fc.record({
      name: fc.constantFrom("f", "g"),
      description: nullable(text),
      parameters: nullable(fc.constant({ type: "object", properties: { a: { type: "string" } } })),
      strict: nullable(fc.boolean()),
    }),
    cache_control: marker,
  }),
  fc.constant({ type: "custom", custom: { name: "c" } }),
);

/** Any chat request that a client half lets through; not only sensible ones. */
export const chatRequests = fc.record(
  {
    model: fc.constant("m"),
    messages,
    stream: nullable(fc.boolean()),
    stream_options: nullable(fc.constant({ include_usage: true })),
    max_tokens: nullable(fc.integer({ min: 1 })),
    max_completion_tokens: nullable(fc.integer({ min: 1 })),
    temperature: nullable(fc.double({ min: 0, max: 2, noNaN: true })),
    top_k: nullable(fc.integer({ min: -1, max: 100 })),
    stop: nullable(fc.oneof(text, fc.array(text, { maxLength: 3 }))),
    n: nullable(seldom(fc.constant(1), fc.integer({ min: 2, max: 3 }))),
    logprobs: nullable(fc.boolean()),
    top_logprobs: nullable(seldom(fc.constant(0), fc.integer({ min: 1, max: 5 }))),
    tools: nullable(fc.array(tool, { maxLength: 3 })),
    tool_choice: nullable(
      fc.oneof(
        fc.constantFrom("none", "auto", "required"),
        fc.constant({ type: "function", function: { name: "f" } }),
        fc.constant({ type: "allowed_tools" }),
      ),
    ),
    parallel_tool_calls: nullable(seldom(fc.constant(true), fc.constant(false))),
    response_format: nullable(
      fc.constantFrom(
        { type: "text" },
        { type: "json_object" },
        { type: "grammar" },
        { type: "json_schema", json_schema: { name: "s", description: "d", schema: { type: "object" } } },
        { type: "json_schema", json_schema: { name: "s", schema: null } },
      ),
    ),
    reasoning_effort: nullable(fc.constantFrom("none", "low", "high", "xhigh", "other", "__proto__")),
    thinking: nullable(
      fc.constantFrom({ type: "enabled", budget_tokens: 2000 }, { type: "disabled" }, { type: "adaptive" }, {}, { budget_tokens: "x" }),
    ),
    modalities: nullable(seldom(fc.constant(["text"]), fc.constant(["text", "audio"]))),
    user: nullable(text),
    logit_bias: nullable(fc.constant({})),
    metadata: nullable(fc.constant({ a: "b" })),
    foreign: optional(
      seldom(
        fc.constant({ dialect: "other", fields: {}, hints: { a: 1 } }),
        fc.constant({ dialect: "other", fields: { container: "x" }, hints: {} }),
      ),
    ),
  },
  { requiredKeys: ["model", "messages"] },
) as fc.Arbitrary<unknown> as fc.Arbitrary<ChatRequest>;

export const embeddingsRequests = fc.record(
  {
    model: fc.constant("m"),
    input: fc.oneof(text, fc.array(text, { minLength: 1, maxLength: 3 }), fc.array(fc.nat(), { minLength: 1, maxLength: 3 })),
    dimensions: nullable(fc.integer({ min: 1, max: 4096 })),
    encoding_format: nullable(fc.constantFrom("float", "base64")),
    input_type: nullable(fc.oneof(text, fc.integer())),
    user: nullable(text),
  },
  { requiredKeys: ["model", "input"] },
) as fc.Arbitrary<unknown> as fc.Arbitrary<EmbeddingsRequest>;

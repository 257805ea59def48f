import type { FuzzedRequest } from "./requests.ts";

const request = (path: string, body: object): FuzzedRequest => ({ path, body: JSON.stringify(body) });
const said = [{ role: "user", content: "Hi" }];

/** Requests that once got a wrong answer, by what was wrong. */
export const CORPUS: Readonly<Record<string, FuzzedRequest>> = {
  "a call of a tool that is no function could not be counted": request("/v1/chat/completions", {
    model: "simulator/sim-small",
    messages: [
      { role: "assistant", content: "", tool_calls: [{ id: "call_1", type: "custom", custom: { name: "c", input: "x" } }] },
      ...said,
    ],
  }),
  "a tool whose arguments are a text was called with one": request("/v1/messages", {
    model: "simulator/sim-nano",
    max_tokens: 4096,
    messages: said,
    tools: [{ name: "a", input_schema: { type: "string" } }],
    tool_choice: { type: "any" },
  }),
  "a tool whose arguments are a fixed number was called with it": request("/v1/messages", {
    model: "simulator/sim-nano",
    max_tokens: 4096,
    messages: said,
    tools: [{ name: "a", input_schema: { type: "object", const: 2 } }],
    tool_choice: { type: "tool", name: "a" },
  }),
};

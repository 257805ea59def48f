import { each, GEMINI_HI, HI, type Row, refuses, sends } from "../row.ts";

const SCHEMA = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false } as const;
const WEATHER = { name: "get_weather", description: "Weather in a city" };
const TIME = { name: "get_time", description: "Time in a city" };

/** The same tools in every provider's words. */
const OPENAI_TOOLS = [WEATHER, TIME].map((tool) => ({ type: "function" as const, function: { ...tool, parameters: { ...SCHEMA } } }));
const ANTHROPIC_TOOLS = [WEATHER, TIME].map((tool) => ({ ...tool, input_schema: { ...SCHEMA, required: [...SCHEMA.required] } }));
const GEMINI_TOOLS = [{ functionDeclarations: [WEATHER, TIME].map((tool) => ({ ...tool, parametersJsonSchema: SCHEMA })) }];
const mode = (mode: "AUTO" | "ANY" | "NONE" | "VALIDATED", ...names: string[]) => ({
  functionCallingConfig: { mode, ...(names.length > 0 && { allowedFunctionNames: names }) },
});

const BERN = { id: "call_1", name: "get_weather", arguments: { city: "Bern" } };
const ROME = { id: "call_2", name: "get_time", arguments: { city: "Rome" } };
const calls = [BERN, ROME].map(({ id, name, arguments: args }) => ({
  id,
  type: "function" as const,
  function: { name, arguments: JSON.stringify(args) },
}));
const uses = [BERN, ROME].map(({ id, name, arguments: input }) => ({ type: "tool_use" as const, id, name, input }));
const geminiCalls = [BERN, ROME].map(({ id, name, arguments: args }) => ({ functionCall: { id, name, args } }));

/** Tools offered, called and answered. */
export const TOOLS: readonly Row[] = [
  {
    feature: "Tools, called in parallel",
    asks: { openai: { messages: [HI], tools: OPENAI_TOOLS }, anthropic: { messages: [HI], tools: ANTHROPIC_TOOLS } },
    gets: {
      "openai-chat": sends({ messages: [HI], tools: OPENAI_TOOLS }),
      "anthropic-messages": sends({ messages: [HI], tools: ANTHROPIC_TOOLS }),
      gemini: sends({ contents: [GEMINI_HI], tools: GEMINI_TOOLS, toolConfig: mode("AUTO") }),
      cohere: sends({ messages: [HI], tools: OPENAI_TOOLS }),
    },
    answer: { text: "Let me see.", toolCalls: [BERN, ROME] },
    seen: (client) => ({
      text: "Let me see.",
      calls: [
        { id: "call_1", name: "get_weather", input: { city: "Bern" } },
        { id: "call_2", name: "get_time", input: { city: "Rome" } },
      ],
      stop: client === "openai" ? "tool_calls" : "tool_use",
    }),
  },
  {
    feature: "A tool without arguments",
    asks: {
      openai: { messages: [HI], tools: [{ type: "function", function: { name: "now" } }] },
      anthropic: { messages: [HI], tools: [{ name: "now", input_schema: { type: "object" } }] },
    },
    gets: {
      "openai-chat": sends({ messages: [HI], tools: [{ type: "function", function: { name: "now", parameters: { type: "object" } } }] }),
      "anthropic-messages": sends({ messages: [HI], tools: [{ name: "now", input_schema: { type: "object" } }] }),
      gemini: each({
        openai: sends({ contents: [GEMINI_HI], tools: [{ functionDeclarations: [{ name: "now" }] }], toolConfig: mode("AUTO") }),
        anthropic: sends({
          contents: [GEMINI_HI],
          tools: [{ functionDeclarations: [{ name: "now", parametersJsonSchema: { type: "object" } }] }],
          toolConfig: mode("AUTO"),
        }),
      }),
      cohere: each({
        openai: sends({
          messages: [HI],
          tools: [{ type: "function", function: { name: "now", parameters: { type: "object", properties: {} } } }],
        }),
        anthropic: sends({ messages: [HI], tools: [{ type: "function", function: { name: "now", parameters: { type: "object" } } }] }),
      }),
    },
    answer: { toolCalls: [{ id: "call_1", name: "now", arguments: {} }] },
    seen: { text: "", calls: [{ id: "call_1", name: "now", input: {} }] },
  },
  {
    feature: "Tool results, in parallel",
    asks: {
      openai: {
        messages: [
          HI,
          { role: "assistant", content: "Let me see.", tool_calls: calls },
          { role: "tool", tool_call_id: "call_1", content: "Sunny" },
          { role: "tool", tool_call_id: "call_2", content: "10:15" },
        ],
        tools: OPENAI_TOOLS,
      },
      anthropic: {
        messages: [
          HI,
          { role: "assistant", content: [{ type: "text", text: "Let me see." }, ...uses] },
          {
            role: "user",
            content: [
              { type: "tool_result", tool_use_id: "call_1", content: "Sunny" },
              { type: "tool_result", tool_use_id: "call_2", content: [{ type: "text", text: "10:15" }] },
            ],
          },
        ],
        tools: ANTHROPIC_TOOLS,
      },
    },
    gets: {
      "openai-chat": sends({
        messages: [
          HI,
          { role: "assistant", content: "Let me see.", tool_calls: calls },
          { role: "tool", tool_call_id: "call_1", content: "Sunny" },
          { role: "tool", tool_call_id: "call_2", content: "10:15" },
        ],
        tools: OPENAI_TOOLS,
      }),
      "anthropic-messages": sends({
        messages: [
          HI,
          { role: "assistant", content: [{ type: "text", text: "Let me see." }, ...uses] },
          {
            role: "user",
            content: [
              { type: "tool_result", tool_use_id: "call_1", content: "Sunny" },
              { type: "tool_result", tool_use_id: "call_2", content: "10:15" },
            ],
          },
        ],
        tools: ANTHROPIC_TOOLS,
      }),
      gemini: sends({
        contents: [
          GEMINI_HI,
          { role: "model", parts: [{ text: "Let me see." }, ...geminiCalls] },
          {
            role: "user",
            parts: [
              { functionResponse: { id: "call_1", name: "get_weather", response: { output: "Sunny" } } },
              { functionResponse: { id: "call_2", name: "get_time", response: { output: "10:15" } } },
            ],
          },
        ],
        tools: GEMINI_TOOLS,
        toolConfig: mode("AUTO"),
      }),
      cohere: sends({
        messages: [
          HI,
          { role: "assistant", content: [{ type: "text", text: "Let me see." }], tool_calls: calls },
          { role: "tool", tool_call_id: "call_1", content: "Sunny" },
          { role: "tool", tool_call_id: "call_2", content: "10:15" },
        ],
        tools: OPENAI_TOOLS,
      }),
    },
  },
  {
    feature: "A tool that failed",
    asks: {
      anthropic: {
        messages: [
          HI,
          { role: "assistant", content: uses.slice(0, 1) },
          { role: "user", content: [{ type: "tool_result", tool_use_id: "call_1", content: "no such city", is_error: true }] },
        ],
      },
    },
    gets: {
      "openai-chat": sends({
        messages: [
          HI,
          { role: "assistant", content: null, tool_calls: calls.slice(0, 1) },
          { role: "tool", tool_call_id: "call_1", content: "Error: no such city" },
        ],
      }),
      gemini: sends({
        contents: [
          GEMINI_HI,
          { role: "model", parts: geminiCalls.slice(0, 1) },
          { role: "user", parts: [{ functionResponse: { id: "call_1", name: "get_weather", response: { error: "no such city" } } }] },
        ],
      }),
      cohere: sends({
        messages: [
          HI,
          { role: "assistant", tool_calls: calls.slice(0, 1) },
          { role: "tool", tool_call_id: "call_1", content: "Error: no such city" },
        ],
      }),
    },
  },
  {
    feature: "Some tool must be called",
    asks: {
      openai: { messages: [HI], tools: OPENAI_TOOLS, tool_choice: "required" },
      anthropic: { messages: [HI], tools: ANTHROPIC_TOOLS, tool_choice: { type: "any" } },
    },
    gets: {
      "openai-chat": sends({ messages: [HI], tools: OPENAI_TOOLS, tool_choice: "required" }),
      "anthropic-messages": sends({ messages: [HI], tools: ANTHROPIC_TOOLS, tool_choice: { type: "any" } }),
      gemini: sends({ contents: [GEMINI_HI], tools: GEMINI_TOOLS, toolConfig: mode("ANY") }),
      cohere: sends({ messages: [HI], tools: OPENAI_TOOLS, tool_choice: "REQUIRED" }),
    },
  },
  {
    feature: "One tool must be called",
    asks: {
      openai: { messages: [HI], tools: OPENAI_TOOLS, tool_choice: { type: "function", function: { name: "get_time" } } },
      anthropic: { messages: [HI], tools: ANTHROPIC_TOOLS, tool_choice: { type: "tool", name: "get_time" } },
    },
    gets: {
      "openai-chat": sends({ messages: [HI], tools: OPENAI_TOOLS, tool_choice: { type: "function", function: { name: "get_time" } } }),
      "anthropic-messages": sends({ messages: [HI], tools: ANTHROPIC_TOOLS, tool_choice: { type: "tool", name: "get_time" } }),
      gemini: sends({ contents: [GEMINI_HI], tools: GEMINI_TOOLS, toolConfig: mode("ANY", "get_time") }),
      cohere: sends({ messages: [HI], tools: OPENAI_TOOLS.slice(1), tool_choice: "REQUIRED" }),
    },
  },
  {
    feature: "No tool may be called",
    asks: {
      openai: { messages: [HI], tools: OPENAI_TOOLS, tool_choice: "none" },
      anthropic: { messages: [HI], tools: ANTHROPIC_TOOLS, tool_choice: { type: "none" } },
    },
    gets: {
      "openai-chat": sends({ messages: [HI], tools: OPENAI_TOOLS, tool_choice: "none" }),
      "anthropic-messages": sends({ messages: [HI], tools: ANTHROPIC_TOOLS, tool_choice: { type: "none" } }),
      gemini: sends({ contents: [GEMINI_HI], tools: GEMINI_TOOLS, toolConfig: mode("NONE") }),
      cohere: sends({ messages: [HI], tools: OPENAI_TOOLS, tool_choice: "NONE" }),
    },
  },
  {
    feature: "One call at a time",
    asks: {
      openai: { messages: [HI], tools: OPENAI_TOOLS, parallel_tool_calls: false },
      anthropic: { messages: [HI], tools: ANTHROPIC_TOOLS, tool_choice: { type: "auto", disable_parallel_tool_use: true } },
    },
    gets: {
      "openai-chat": sends({ messages: [HI], tools: OPENAI_TOOLS, tool_choice: "auto", parallel_tool_calls: false }),
      "anthropic-messages": sends({
        messages: [HI],
        tools: ANTHROPIC_TOOLS,
        tool_choice: { type: "auto", disable_parallel_tool_use: true },
      }),
      gemini: each({ openai: refuses("parallel_tool_calls"), anthropic: refuses("tool_choice.disable_parallel_tool_use") }),
      cohere: each({ openai: refuses("parallel_tool_calls"), anthropic: refuses("tool_choice.disable_parallel_tool_use") }),
    },
  },
  {
    feature: "Strict tools",
    asks: {
      openai: { messages: [HI], tools: [{ type: "function", function: { ...WEATHER, parameters: SCHEMA, strict: true } }] },
      anthropic: { messages: [HI], tools: [{ ...ANTHROPIC_TOOLS[0], strict: true } as never] },
    },
    gets: {
      "openai-chat": sends({ messages: [HI], tools: [{ type: "function", function: { ...WEATHER, parameters: SCHEMA, strict: true } }] }),
      "anthropic-messages": sends({ messages: [HI], tools: [{ ...ANTHROPIC_TOOLS[0], strict: true } as never] }),
      gemini: sends({
        contents: [GEMINI_HI],
        tools: [{ functionDeclarations: [{ ...WEATHER, parametersJsonSchema: SCHEMA }] }],
        toolConfig: mode("VALIDATED"),
      }),
      cohere: sends({ messages: [HI], tools: OPENAI_TOOLS.slice(0, 1), strict_tools: true }),
    },
  },
  {
    feature: "Tools of the provider's own",
    asks: {
      openai: { messages: [HI], tools: [{ type: "custom", custom: { name: "shell" } }] },
      anthropic: { messages: [HI], tools: [{ type: "web_search_20250305", name: "web_search" }] },
    },
    gets: {
      "openai-chat": refuses("tools[0]"),
      "anthropic-messages": refuses("tools[0]"),
      gemini: each({ openai: refuses("tools[0].type"), anthropic: refuses("tools[0]") }),
      cohere: each({ openai: refuses("tools[0].type"), anthropic: refuses("tools[0]") }),
    },
  },
];

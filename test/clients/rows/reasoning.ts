import { each, GEMINI_HI, HI, type Row, sends } from "../row.ts";

const CALL = { id: "call_1", type: "function" as const, function: { name: "now", arguments: "{}" } };
const SIGNED = { type: "thinking", thinking: "Which clock?", signature: "c2lnbmF0dXJl" } as const;
const RESULT = { role: "tool", tool_call_id: "call_1", content: "10:15" } as const;
const GEMINI_RESULT = {
  role: "user" as const,
  parts: [{ functionResponse: { id: "call_1", name: "now", response: { output: "10:15" } } }],
};

const GEMINI_SIGNED = { extra_content: { google: { thought_signature: "R2VtaW5p" } } };
const SIGNED_REPLY = {
  candidates: [
    {
      content: { role: "model", parts: [{ functionCall: { id: "call_2", name: "now", args: {} }, thoughtSignature: "R2VtaW5p" }] },
      finishReason: "STOP",
    },
  ],
  usageMetadata: { promptTokenCount: 10, candidatesTokenCount: 4, totalTokenCount: 14 },
};

/** What goes back without another provider's signature. */
const back = <Body>(body: Body) =>
  each({ openai: sends(body, "messages[].reasoning_details[].signature"), anthropic: sends(body, "messages[].content[].signature") });

/** Thinking asked for, shown, and handed back. */
export const REASONING: readonly Row[] = [
  {
    feature: "Reasoning effort",
    asks: {
      openai: { messages: [HI], reasoning_effort: "medium" },
      anthropic: { messages: [HI], output_config: { effort: "medium" } },
    },
    gets: {
      "openai-chat": sends({ messages: [HI], reasoning_effort: "medium" }),
      "anthropic-messages": sends({ messages: [HI], output_config: { effort: "medium" } }),
      gemini: sends({ contents: [GEMINI_HI], generationConfig: { thinkingConfig: { thinkingBudget: 8192, includeThoughts: true } } }),
      cohere: each({
        openai: sends({ messages: [HI], thinking: { type: "enabled" } }, "reasoning_effort"),
        anthropic: sends({ messages: [HI], thinking: { type: "enabled" } }, "output_config.effort"),
      }),
    },
  },
  {
    feature: "Reasoning effort (Gemini 3)",
    model: "gemini-3-pro-preview",
    asks: {
      openai: { messages: [HI], reasoning_effort: "low" },
      anthropic: { messages: [HI], output_config: { effort: "low" } },
    },
    gets: {
      "openai-chat": sends({ messages: [HI], reasoning_effort: "low" }),
      "anthropic-messages": sends({ messages: [HI], output_config: { effort: "low" } }),
      gemini: sends({ contents: [GEMINI_HI], generationConfig: { thinkingConfig: { thinkingLevel: "low", includeThoughts: true } } }),
      cohere: each({
        openai: sends({ messages: [HI], thinking: { type: "enabled" } }, "reasoning_effort"),
        anthropic: sends({ messages: [HI], thinking: { type: "enabled" } }, "output_config.effort"),
      }),
    },
  },
  {
    feature: "No reasoning",
    asks: {
      openai: { messages: [HI], reasoning_effort: "none" },
      anthropic: { messages: [HI], thinking: { type: "disabled" } },
    },
    gets: {
      "openai-chat": sends({ messages: [HI] }, "thinking"),
      "anthropic-messages": sends({ messages: [HI], thinking: { type: "disabled" } }),
      gemini: sends({ contents: [GEMINI_HI], generationConfig: { thinkingConfig: { thinkingBudget: 0 } } }),
      cohere: sends({ messages: [HI], thinking: { type: "disabled" } }),
    },
  },
  {
    feature: "Thinking budget, thoughts shown",
    asks: { anthropic: { messages: [HI], thinking: { type: "enabled", budget_tokens: 5000 } } },
    gets: {
      "openai-chat": sends({ messages: [HI], reasoning_effort: "medium" }),
      gemini: sends({ contents: [GEMINI_HI], generationConfig: { thinkingConfig: { thinkingBudget: 5000, includeThoughts: true } } }),
      cohere: sends({ messages: [HI], thinking: { type: "enabled", token_budget: 5000 } }),
    },
    answer: { reasoning: "A greeting.", text: "Hello." },
    seen: (_, provider) => ({
      text: "Hello.",
      thinking: "A greeting.",
      signature: provider === "anthropic-messages" ? "c2lnbmF0dXJl" : "",
    }),
  },
  {
    feature: "Thoughts shown",
    asks: { openai: { messages: [HI] } },
    gets: {
      "anthropic-messages": sends({ messages: [HI] }),
      gemini: sends({ contents: [GEMINI_HI] }),
      cohere: sends({ messages: [HI] }),
    },
    answer: { reasoning: "A greeting.", text: "Hello." },
    seen: (_, provider) => ({
      text: "Hello.",
      thinking: "A greeting.",
      signature: provider === "anthropic-messages" ? "c2lnbmF0dXJl" : undefined,
    }),
  },
  {
    feature: "Signed thoughts handed back",
    asks: {
      openai: {
        messages: [
          HI,
          {
            role: "assistant",
            content: null,
            tool_calls: [CALL],
            reasoning_content: SIGNED.thinking,
            reasoning_details: [SIGNED],
          } as never,
          RESULT,
        ],
      },
      anthropic: {
        messages: [
          HI,
          { role: "assistant", content: [SIGNED, { type: "tool_use", id: "call_1", name: "now", input: {} }] },
          { role: "user", content: [{ type: "tool_result", tool_use_id: "call_1", content: "10:15" }] },
        ],
      },
    },
    gets: {
      // OpenAI takes no thoughts of others back, and signatures say nothing to it.
      "openai-chat": sends(
        { messages: [HI, { role: "assistant", content: null, tool_calls: [CALL] }, RESULT] },
        "messages[].content[].thinking",
      ),
      "anthropic-messages": sends({
        messages: [
          HI,
          { role: "assistant", content: [SIGNED, { type: "tool_use", id: "call_1", name: "now", input: {} }] },
          { role: "user", content: [{ type: "tool_result", tool_use_id: "call_1", content: "10:15" }] },
        ],
      }),
      gemini: back({
        contents: [
          GEMINI_HI,
          { role: "model", parts: [{ text: "Which clock?", thought: true }, { functionCall: { id: "call_1", name: "now", args: {} } }] },
          GEMINI_RESULT,
        ],
      }),
      cohere: back({
        messages: [HI, { role: "assistant", content: [{ type: "thinking", thinking: "Which clock?" }], tool_calls: [CALL] }, RESULT],
      }),
    },
  },
  {
    feature: "Unsigned thoughts handed back",
    asks: {
      openai: {
        messages: [HI, { role: "assistant", content: null, tool_calls: [CALL], reasoning_content: "Which clock?" } as never, RESULT],
      },
    },
    gets: {
      "anthropic-messages": sends(
        {
          messages: [
            HI,
            { role: "assistant", content: [{ type: "tool_use", id: "call_1", name: "now", input: {} }] },
            { role: "user", content: [{ type: "tool_result", tool_use_id: "call_1", content: "10:15" }] },
          ],
        },
        "messages[].reasoning_content",
      ),
      gemini: sends({
        contents: [
          GEMINI_HI,
          { role: "model", parts: [{ text: "Which clock?", thought: true }, { functionCall: { id: "call_1", name: "now", args: {} } }] },
          GEMINI_RESULT,
        ],
      }),
      cohere: sends({ messages: [HI, { role: "assistant", tool_plan: "Which clock?", tool_calls: [CALL] }, RESULT] }),
    },
  },
  {
    feature: "Gemini's signed calls handed back",
    model: "gemini-3-pro-preview",
    asks: {
      openai: {
        messages: [HI, { role: "assistant", content: null, tool_calls: [{ ...CALL, ...GEMINI_SIGNED } as typeof CALL] }, RESULT],
      },
    },
    gets: {
      "anthropic-messages": sends(
        {
          messages: [
            HI,
            { role: "assistant", content: [{ type: "tool_use", id: "call_1", name: "now", input: {} }] },
            { role: "user", content: [{ type: "tool_result", tool_use_id: "call_1", content: "10:15" }] },
          ],
        },
        "messages[].tool_calls[].extra_content",
      ),
      gemini: sends({
        contents: [
          GEMINI_HI,
          { role: "model", parts: [{ functionCall: { id: "call_1", name: "now", args: {} }, thoughtSignature: "R2VtaW5p" }] },
          GEMINI_RESULT,
        ],
      }),
      cohere: sends({ messages: [HI, { role: "assistant", tool_calls: [CALL] }, RESULT] }, "messages[].tool_calls[].extra_content"),
    },
    answers: { gemini: { reply: SIGNED_REPLY, frames: [SIGNED_REPLY] } },
    seen: (_, provider) =>
      provider === "gemini"
        ? { calls: [{ id: "call_2", name: "now", input: {}, extra: GEMINI_SIGNED.extra_content }] }
        : { text: "Hello to you" },
  },
];

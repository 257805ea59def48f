import { each, GEMINI_HI, HI, type Row, refuses, sends } from "../row.ts";

const CACHE = { type: "ephemeral" } as const;

/** Sampling, book-keeping and caching. */
export const SETTINGS: readonly Row[] = [
  {
    feature: "Temperature and top-p",
    asks: { openai: { messages: [HI], temperature: 0.5, top_p: 0.9 }, anthropic: { messages: [HI], temperature: 0.5, top_p: 0.9 } },
    gets: {
      "openai-chat": sends({ messages: [HI], temperature: 0.5, top_p: 0.9 }),
      "anthropic-messages": sends({ messages: [HI], temperature: 0.5, top_p: 0.9 }),
      gemini: sends({ contents: [GEMINI_HI], generationConfig: { temperature: 0.5, topP: 0.9 } }),
      cohere: sends({ messages: [HI], temperature: 0.5, p: 0.9 }),
    },
  },
  {
    feature: "Temperature over 1",
    asks: { openai: { messages: [HI], temperature: 1.5 } },
    gets: {
      "anthropic-messages": refuses("temperature"),
      gemini: sends({ contents: [GEMINI_HI], generationConfig: { temperature: 1.5 } }),
      cohere: sends({ messages: [HI], temperature: 1.5 }),
    },
  },
  {
    feature: "Top-k",
    asks: { anthropic: { messages: [HI], top_k: 40 } },
    gets: {
      "openai-chat": sends({ messages: [HI], top_k: 40 }),
      gemini: sends({ contents: [GEMINI_HI], generationConfig: { topK: 40 } }),
      cohere: sends({ messages: [HI], k: 40 }),
    },
  },
  {
    feature: "Seed",
    asks: { openai: { messages: [HI], seed: 7 } },
    gets: {
      "anthropic-messages": sends({ messages: [HI] }, "seed"),
      gemini: sends({ contents: [GEMINI_HI], generationConfig: { seed: 7 } }),
      cohere: sends({ messages: [HI], seed: 7 }),
    },
  },
  {
    feature: "Frequency and presence penalty",
    asks: { openai: { messages: [HI], frequency_penalty: 0.5, presence_penalty: 0.25 } },
    gets: {
      "anthropic-messages": refuses("frequency_penalty"),
      gemini: sends({ contents: [GEMINI_HI], generationConfig: { frequencyPenalty: 0.5, presencePenalty: 0.25 } }),
      cohere: sends({ messages: [HI], frequency_penalty: 0.5, presence_penalty: 0.25 }),
    },
  },
  {
    feature: "Token biases",
    asks: { openai: { messages: [HI], logit_bias: { "50256": -100 } } },
    gets: { "anthropic-messages": refuses("logit_bias"), gemini: refuses("logit_bias"), cohere: refuses("logit_bias") },
  },
  {
    feature: "Web search",
    asks: { openai: { messages: [HI], web_search_options: { search_context_size: "low" } } },
    gets: {
      "anthropic-messages": refuses("web_search_options"),
      gemini: refuses("web_search_options"),
      cohere: refuses("web_search_options"),
    },
  },
  {
    feature: "Spoken answers",
    asks: { openai: { messages: [HI], modalities: ["text", "audio"], audio: { voice: "alloy", format: "wav" } } },
    gets: { "anthropic-messages": refuses("modalities"), gemini: refuses("modalities"), cohere: refuses("modalities") },
  },
  {
    feature: "End user",
    asks: { openai: { messages: [HI], user: "u1" }, anthropic: { messages: [HI], metadata: { user_id: "u1" } } },
    gets: {
      "openai-chat": sends({ messages: [HI], user: "u1" }),
      "anthropic-messages": sends({ messages: [HI], metadata: { user_id: "u1" } }),
      gemini: each({ openai: sends({ contents: [GEMINI_HI] }, "user"), anthropic: sends({ contents: [GEMINI_HI] }, "metadata.user_id") }),
      cohere: each({ openai: sends({ messages: [HI] }, "user"), anthropic: sends({ messages: [HI] }, "metadata.user_id") }),
    },
  },
  {
    feature: "Storage and book-keeping",
    asks: { openai: { messages: [HI], store: true, metadata: { team: "a" }, prompt_cache_key: "k", safety_identifier: "s" } },
    gets: {
      "anthropic-messages": sends({ messages: [HI] }, "store", "metadata", "prompt_cache_key", "safety_identifier"),
      gemini: sends({ contents: [GEMINI_HI] }, "store", "metadata", "prompt_cache_key", "safety_identifier"),
      cohere: sends({ messages: [HI] }, "store", "metadata", "prompt_cache_key", "safety_identifier"),
    },
  },
  {
    feature: "Service tier",
    asks: { openai: { messages: [HI], service_tier: "flex" }, anthropic: { messages: [HI], service_tier: "standard_only" } },
    gets: {
      "openai-chat": sends({ messages: [HI] }, "service_tier"),
      "anthropic-messages": sends({ messages: [HI] }, "service_tier"),
      gemini: sends({ contents: [GEMINI_HI] }, "service_tier"),
      cohere: sends({ messages: [HI] }, "service_tier"),
    },
  },
  {
    feature: "Cache markers",
    asks: {
      anthropic: {
        system: [{ type: "text", text: "Be brief.", cache_control: CACHE }],
        messages: [{ role: "user", content: [{ type: "text", text: "Hi", cache_control: CACHE }] }],
      },
    },
    gets: {
      "openai-chat": sends(
        {
          messages: [
            { role: "system", content: [{ type: "text", text: "Be brief." }] },
            { role: "user", content: [{ type: "text", text: "Hi" }] },
          ],
        },
        "messages[].content[].cache_control",
      ),
      gemini: sends({ systemInstruction: { parts: [{ text: "Be brief." }] }, contents: [GEMINI_HI] }, "messages[].content[].cache_control"),
      cohere: sends(
        {
          messages: [
            { role: "system", content: [{ type: "text", text: "Be brief." }] },
            { role: "user", content: [{ type: "text", text: "Hi" }] },
          ],
        },
        "messages[].content[].cache_control",
      ),
    },
  },
  {
    feature: "Cached input, counted",
    asks: { openai: { messages: [HI] }, anthropic: { messages: [HI] } },
    gets: {
      "openai-chat": sends({ messages: [HI] }),
      "anthropic-messages": sends({ messages: [HI] }),
      gemini: sends({ contents: [GEMINI_HI] }),
      cohere: sends({ messages: [HI] }),
    },
    answer: { text: "Hey", usage: { inputTokens: 1000, cachedTokens: 800, outputTokens: 5 } },
    // Cohere bills it like any other.
    seen: (_, provider) => ({ usage: { input: 1000, output: 5, cached: provider === "cohere" ? 0 : 800, written: 0 } }),
  },
];

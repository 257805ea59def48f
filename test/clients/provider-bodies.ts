import type { MessageCreateParamsNonStreaming } from "@anthropic-ai/sdk/resources/messages";
import type {
  ChatCompletionAssistantMessageParam,
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionMessageParam,
} from "openai/resources/chat/completions";

/**
 * What the providers' documentation lets a request body hold, so that an expectation of something else does not compile.
 * OpenAI's and Anthropic's are their SDKs' own types.
 */

type Schema = Readonly<Record<string, unknown>>;

/** OpenAI's, with what compatible servers add. */
export type OpenAiBody = Partial<Omit<ChatCompletionCreateParamsNonStreaming, "model" | "messages">> & {
  messages: (ChatCompletionMessageParam | (ChatCompletionAssistantMessageParam & { reasoning_content: string }))[];
  top_k?: number;
};

/** Anthropic's, with the sampling settings that its latest models, and so its SDK's types, no longer have. */
export type AnthropicAsk = Partial<MessageCreateParamsNonStreaming> & { temperature?: number; top_p?: number; top_k?: number };

export type AnthropicBody = Omit<AnthropicAsk, "model">;

interface GeminiPart {
  text?: string;
  thought?: true;
  thoughtSignature?: string;
  inlineData?: { mimeType: string; data: string };
  fileData?: { mimeType?: string; fileUri: string };
  functionCall?: { id?: string; name: string; args: Schema };
  functionResponse?: { id?: string; name: string; response: { output: string } | { error: string } };
}

/** https://ai.google.dev/api/generate-content#request-body and #generationconfig, https://ai.google.dev/api/caching#Tool */
export interface GeminiBody {
  contents: { role: "user" | "model"; parts: GeminiPart[] }[];
  systemInstruction?: { parts: { text: string }[] };
  tools?: { functionDeclarations: { name: string; description?: string; parametersJsonSchema?: Schema }[] }[];
  toolConfig?: { functionCallingConfig: { mode: "AUTO" | "ANY" | "NONE" | "VALIDATED"; allowedFunctionNames?: string[] } };
  generationConfig?: {
    maxOutputTokens?: number;
    temperature?: number;
    topP?: number;
    topK?: number;
    stopSequences?: string[];
    candidateCount?: number;
    seed?: number;
    presencePenalty?: number;
    frequencyPenalty?: number;
    responseLogprobs?: boolean;
    /** How many alternatives to show. */
    logprobs?: number;
    responseMimeType?: "application/json";
    responseJsonSchema?: Schema;
    thinkingConfig?: { includeThoughts?: boolean; thinkingBudget?: number; thinkingLevel?: "minimal" | "low" | "medium" | "high" };
  };
}

type CoherePart =
  | { type: "text"; text: string }
  | { type: "thinking"; thinking: string }
  | { type: "image_url"; image_url: { url: string; detail?: "low" | "high" | "auto" } };

/** https://docs.cohere.com/reference/chat#request */
export interface CohereBody {
  messages: (
    | { role: "system" | "user"; content: string | CoherePart[] }
    | {
        role: "assistant";
        content?: string | CoherePart[];
        tool_plan?: string;
        tool_calls?: { id: string; type: "function"; function: { name: string; arguments: string } }[];
      }
    | { role: "tool"; tool_call_id: string; content: string | CoherePart[] }
  )[];
  max_tokens?: number;
  temperature?: number;
  p?: number;
  k?: number;
  seed?: number;
  stop_sequences?: string[];
  frequency_penalty?: number;
  presence_penalty?: number;
  logprobs?: boolean;
  tools?: { type: "function"; function: { name: string; description?: string; parameters: Schema } }[];
  strict_tools?: boolean;
  tool_choice?: "REQUIRED" | "NONE";
  response_format?: { type: "json_object"; json_schema?: Schema };
  thinking?: { type: "enabled" | "disabled"; token_budget?: number };
}

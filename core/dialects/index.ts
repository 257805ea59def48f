import { anthropicMessages } from "./anthropic-messages.ts";
import { cohere } from "./cohere.ts";
import type { Dialect } from "./dialect.ts";
import { gemini } from "./gemini.ts";
import { openaiChat } from "./openai-chat.ts";

const ALL: readonly Dialect[] = [openaiChat, anthropicMessages, gemini, cohere];

/** Every wire format by name. */
export const DIALECTS: ReadonlyMap<string, Dialect> = new Map(ALL.map((dialect) => [dialect.name, dialect]));

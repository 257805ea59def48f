import type { Dialect } from "./dialect.ts";
import { openaiChat } from "./openai-chat.ts";

const ALL: readonly Dialect[] = [openaiChat];

/** Every wire format by name. */
export const DIALECTS: ReadonlyMap<string, Dialect> = new Map(ALL.map((dialect) => [dialect.name, dialect]));

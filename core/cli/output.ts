import { styleText } from "node:util";
import type { ConfigError } from "../config/mistakes.ts";

/** Exit codes, the same for every command. */
export const EXIT = { ok: 0, unexpected: 1, usage: 2, unhealthy: 3 } as const;

/** A command line that makes no sense; says why. */
export class UsageError extends Error {}

type Style = Parameters<typeof styleText>[0];

/** Colours a text where `stream` is a terminal that wants colours. */
export type Paint = (style: Style, text: string) => string;

export function painter(stream: NodeJS.WriteStream): Paint {
  return (style, text) => styleText(style, text, { stream });
}

/** Results: what a script would read. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Chatter: what a person would read. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function sayMistakes(error: ConfigError): void {
  const [first = "", ...rest] = error.message.split("\n");
  say([painter(process.stderr)(["red", "bold"], first), ...rest].join("\n"));
}

import type { Profile } from "./users.ts";

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** The source that is no header: the request's own `user` field. */
export const BODY_USER = "body.user";
const NAMES = ["x-user-name", "x-openwebui-user-name"] as const;
const LONGEST = 200;
const EMAIL = /^[^\s@"(),:;<>[\\\]]{1,64}@[^\s@"(),:;<>[\\\]]{1,190}$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/**
 * The end user that a trusted application speaks for, by the first of `sources` that says so; undefined when none does. A
 * source that holds nothing, or a placeholder that was left unfilled (`{{…}}`), counts as absent; one whose name ends in
 * "email" counts only with an address in it. Anything else that looks like an address is taken as one.
 */
export function forwardedUser(sources: readonly string[], headers: Headers, bodyUser: unknown): Profile | undefined {
  for (const source of sources) {
    const text = clean(source === BODY_USER ? bodyUser : unquoted(source, headers[source]));
    if (text === undefined) continue;
    const email = emailOf(text);
    if (email === null && source.endsWith("email")) continue;
    return { email, externalId: email === null ? `forwarded/${text}` : null, name: nameIn(headers) };
  }
  return undefined;
}

/** Whether any of the headers among `sources` is there at all. */
export function namesSomebody(sources: readonly string[], headers: Headers): boolean {
  for (const source of sources) if (headers[source] !== undefined) return true;
  return false;
}

/** An e-mail address in lower case, or null when the text is none. */
export function emailOf(text: string): string | null {
  return EMAIL.test(text) ? text.toLowerCase() : null;
}

/** A text worth keeping: trimmed, one line, not too long. */
export function clean(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const text = value.trim();
  return text === "" || text.length > LONGEST || CONTROL.test(text) || text.includes("{{") ? undefined : text;
}

function nameIn(headers: Headers): string | null {
  for (const name of NAMES) {
    const text = clean(unquoted(name, headers[name]));
    if (text !== undefined) return text;
  }
  return null;
}

/** Open WebUI quotes its values as in a URL. */
function unquoted(header: string, value: string | string[] | undefined): string | string[] | undefined {
  if (typeof value !== "string" || !header.startsWith("x-openwebui-") || !value.includes("%")) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

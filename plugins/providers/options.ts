import { type Secret, secret } from "headgate";
import { z } from "zod";

/** Options that every provider takes. */

/** The provider's name in `provider/model`; only two entries of one kind need one of their own. */
export function providerName() {
  return z
    .string()
    .regex(/^[\w.-]+$/)
    .meta({ title: "a name of letters, digits, dots, dashes and underscores" });
}

/** An http(s) address without credentials, query or fragment; slashes at its end are cut off. */
export function baseUrl() {
  return z
    .string()
    .refine(isBaseUrl)
    .overwrite((url) => url.replace(/\/+$/, ""))
    .meta({ title: "an http(s) address without credentials, query or fragment" });
}

function isBaseUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search, hash } = new URL(text);
  return (protocol === "https:" || protocol === "http:") && [username, password, search, hash].every((part) => part === "");
}

/** Headers to send with every request, over the provider's own; values may be secrets. None by default. */
export function headers() {
  return z
    .record(
      z
        .string()
        .regex(/^[\w!#$%&'*+.^`|~-]+$/)
        .meta({ title: "a header name" }),
      secret(),
    )
    .default({});
}

/** The complete set of headers, lower-case: the provider's `own`, then the configured ones. Keys are revealed per call, so that they can rotate. */
export function headersOf(own: () => Record<string, string>, configured: Readonly<Record<string, Secret>>): () => Record<string, string> {
  const further = Object.entries(configured).map(([name, value]) => [name.toLowerCase(), value] as const);
  return () => {
    const all = own();
    for (const [name, value] of further) all[name] = value.reveal();
    return all;
  };
}

/** `authorization: Bearer …`, or nothing without a key. */
export function bearer(key: Secret | undefined): () => Record<string, string> {
  return (): Record<string, string> => (key ? { authorization: `Bearer ${key.reveal()}` } : {});
}

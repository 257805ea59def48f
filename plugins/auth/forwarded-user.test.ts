import { describe, expect, it } from "vitest";
import { BODY_USER, emailOf, forwardedUser } from "./forwarded-user.ts";
import { AuthOptions } from "./options.ts";

const { forwardedUser: SOURCES } = AuthOptions.parse({});
const named = (headers: Record<string, string>, body?: unknown) => forwardedUser(SOURCES, headers, body);
const by = (email: string | null, externalId: string | null = null, name: string | null = null) => ({ email, externalId, name });

describe("who a trusted application speaks for", () => {
  it.each([
    ["LibreChat's header", { "x-user-email": "Alice@Example.com" }, undefined, by("alice@example.com")],
    [
      "Open WebUI's headers, quoted as in a URL",
      { "x-openwebui-user-email": "a%2Bb%40example.com", "x-openwebui-user-name": "J%C3%BCrgen%20K" },
      undefined,
      by("a+b@example.com", null, "Jürgen K"),
    ],
    ["an id", { "x-openwebui-user-id": "5f0c" }, undefined, by(null, "forwarded/5f0c")],
    ["OpenAI's field", {}, "user-1234", by(null, "forwarded/user-1234")],
    ["an address in OpenAI's field", {}, "bob@example.com", by("bob@example.com")],
    ["the first that is there", { "x-user-id": "7", "x-user-email": "alice@example.com" }, "x", by("alice@example.com")],
    [
      "the next where a placeholder was left unfilled",
      { "x-user-email": "{{LIBRECHAT_USER_EMAIL}}", "x-user-id": "7" },
      undefined,
      by(null, "forwarded/7"),
    ],
    ["the next where no address is in an address's header", { "x-user-email": "anonymous" }, "7", by(null, "forwarded/7")],
    ["a percent sign outside Open WebUI's headers", { "x-user-id": "50%41" }, undefined, by(null, "forwarded/50%41")],
    ["broken quoting", { "x-openwebui-user-id": "50%" }, undefined, by(null, "forwarded/50%")],
  ])("is told by %s", (_, headers, body, expected) => expect(named(headers as Record<string, string>, body)).toEqual(expected));

  it.each([
    ["nothing", {}, undefined],
    ["empty values", { "x-user-email": " " }, ""],
    ["placeholders only", { "x-user-email": "{{LIBRECHAT_USER_EMAIL}}", "x-user-id": "pre {{x}}" }, "{{user}}"],
    ["a line break", { "x-openwebui-user-id": "a%0Ab" }, "a\nb"],
    ["a text too long", { "x-user-id": "x".repeat(201) }, "y".repeat(10_000)],
    ["something that is no text", {}, { toString: "x" }],
  ])("is not told by %s", (_, headers, body) => expect(named(headers as Record<string, string>, body)).toBeUndefined());

  it("is told by what the config lists alone", () => {
    expect(forwardedUser([BODY_USER], { "x-user-email": "alice@example.com" }, undefined)).toBeUndefined();
  });
});

it.each(["a@b", "a.b+c@d.example"])("%s is an address", (text) => expect(emailOf(text)).toBe(text));
it.each(["a", "@b", "a@", "a b@c", "a@b,c@d", "<a@b>", "a@b\r\nBcc: x@y", `${"a".repeat(65)}@b`])("%j is none", (text) =>
  expect(emailOf(text)).toBeNull(),
);

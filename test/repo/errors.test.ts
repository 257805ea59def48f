import { ERRORS } from "headgate";
import { test } from "vitest";
import { expectGenerated, table } from "../support/pages.ts";

test("the README lists every error that a client can meet, as the table in core/errors.ts has it", () => {
  const rows = Object.entries(ERRORS).map(([code, { status, openai, anthropic, retry }]) => [
    `\`${code}\``,
    String(status),
    `\`${openai}\``,
    `\`${anthropic}\``,
    retry ? "yes" : "no",
  ]);
  const head = ["code", "status", "`type` on OpenAI routes", "`type` on Anthropic routes", "retry helps"];
  expectGenerated("README.md", "errors", table(head, rows));
});

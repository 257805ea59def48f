import * as plugins from "headgate/plugins";
import * as providers from "headgate/providers";
import { describe, expect, test } from "vitest";
import { SettingsSchema } from "../../core/config/schema.ts";
import { optionRows } from "../support/option-rows.ts";
import { expectGenerated, table, tableRows } from "../support/pages.ts";

/** `default` cells that are literals, or say that there is none; a sentence tells what happens without the option. */
const LITERAL = /^(`.*`|none|required)$/;

function unquoted(cell = ""): string {
  return cell.replaceAll("`", "");
}

describe("every option of a plugin stands in its README, with its default", () => {
  const entries = Object.values(plugins).map((plugin) => plugin());

  test.each(entries.map(({ definition }) => [definition.name, definition.options] as const))("%s", (name, options) => {
    const shown = tableRows(`plugins/${name}/README.md`, "option").map(([path, fallback]) => [unquoted(path), fallback]);
    const expected = optionRows(options).map(({ path, fallback }) => [path, fallback ?? expect.not.stringMatching(LITERAL)]);
    expect(shown).toEqual(expected);
  });
});

describe("every option of a provider stands in the providers' README", () => {
  const PAGE = "plugins/providers/README.md";
  const byName = new Map(Object.entries(providers).map(([name, provider]) => [name, provider({} as never).definition.options] as const));
  const factories = new Map(tableRows(PAGE, "factory").map(([name, ...cells]) => [unquoted(name), cells]));
  const options = tableRows(PAGE, "option").map(([path, fallback]) => [unquoted(path), fallback] as const);

  test("each factory has a row, and no other", () => {
    expect([...factories.keys()].toSorted()).toEqual([...byName.keys()].toSorted());
  });

  test.each([...byName])("%s", (name, schema) => {
    const [, baseUrl = "", key = ""] = factories.get(name) ?? [];
    const rows = optionRows(schema);
    const fallbackOf = (path: string) => rows.find((row) => row.path === path)?.fallback?.replaceAll('"', "");
    expect(options.map(([path]) => path)).toEqual(expect.arrayContaining(rows.map(({ path }) => path)));
    expect(baseUrl).toMatch(fallbackOf("baseUrl") ?? "none");
    expect(key).toBe(rows.some(({ path }) => path === "apiKey") ? (fallbackOf("apiKey") ?? "optional") : "none");
    for (const { path, fallback } of rows) {
      const cell = options.find(([shown]) => shown === path)?.[1] ?? "";
      if (fallback && LITERAL.test(cell)) expect(cell, path).toBe(fallback);
    }
  });

  test("no option is left that no provider has", () => {
    const known = [...byName.values()].flatMap((schema) => optionRows(schema).map(({ path }) => path));
    expect(known).toEqual(expect.arrayContaining(options.map(([path]) => path)));
  });
});

test("every setting stands in core/config/README.md, with its default and what it is for", () => {
  const page = "core/config/README.md";
  const written = new Map(tableRows(page, "setting").map(([path, , , text = ""]) => [unquoted(path), text]));
  const rows = optionRows(SettingsSchema).map(({ path, fallback, takes }) => [
    `\`${path}\``,
    fallback ?? "none",
    takes,
    written.get(path) ?? "",
  ]);
  expectGenerated(page, "settings", table(["setting", "default", "takes", "what it does"], rows));
  for (const [path, , , text] of rows) expect(text, `say in ${page} what ${path} does`).not.toBe("");
});

import { readdirSync } from "node:fs";
import { join } from "node:path";
import * as plugins from "headgate/plugins";
import { describe, expect, test } from "vitest";
import { ROOT } from "../support/pages.ts";

const folders = readdirSync(join(ROOT, "plugins"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
const names = folders.map(({ name }) => name).filter((name) => name !== "providers");

describe("every plugin folder has the same files", () => {
  test.each(names)("%s", (name) => {
    const files = readdirSync(join(ROOT, "plugins", name));
    expect(files).toEqual(expect.arrayContaining(["README.md", "index.ts", "options.ts", `${name}.test.ts`]));
  });

  test("providers", () => {
    const files = readdirSync(join(ROOT, "plugins/providers"));
    expect(files).toEqual(expect.arrayContaining(["README.md", "index.ts", "options.ts", "providers.test.ts"]));
  });
});

test("a plugin has one name: its folder's, its own, and, in camel case, its factory's", () => {
  const camel = (name: string) => name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
  const factories = Object.entries(plugins).map(([factory, plugin]) => [factory, plugin().definition.name]);
  expect(factories).toEqual(names.map((name) => [camel(name), name]));
});

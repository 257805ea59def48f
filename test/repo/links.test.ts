import { existsSync, readdirSync } from "node:fs";
import { join, posix } from "node:path";
import { describe, expect, test } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { filesOf, ROOT, read } from "../support/pages.ts";

const pages = filesOf("**/*.md");

/** A heading's anchor, as GitHub makes it. */
function anchor(heading: string): string {
  const text = heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "");
  return text.trim().replaceAll(" ", "-");
}

function anchorsOf(page: string): string[] {
  return Array.from(read(page).matchAll(/^#+ (.+)$/gm), ([, heading = ""]) => anchor(heading));
}

/** Whether a path is spelt as on disk, on file systems that do not care as well. */
function exists(path: string): boolean {
  return existsSync(join(ROOT, path)) && (path === "." || readdirSync(join(ROOT, posix.dirname(path))).includes(posix.basename(path)));
}

test.each(pages)("every link of %s leads somewhere", (page) => {
  const dead = Array.from(read(page).matchAll(/\]\(([^)\s]+)\)/g), ([, link = ""]) => link).filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const [path = "", fragment] = link.split("#");
    const target = path === "" ? page : posix.normalize(posix.join(posix.dirname(page), path)).replace(/\/$/, "");
    if (target.startsWith("..") || !exists(target)) return true;
    return fragment !== undefined && !anchorsOf(target).includes(fragment);
  });
  expect(dead).toEqual([]);
});

test.each(pages)("every npm script that %s names is there", (page) => {
  const named = Array.from(
    read(page).matchAll(/\bnpm (?:run (?:--\S+ )*([\w:-]+)|(start|test)\b)/g),
    ([, script, short]) => script ?? short,
  );
  expect(Object.keys(manifest.scripts)).toEqual(expect.arrayContaining(named));
});

describe("nothing is tied to one machine", () => {
  const files = filesOf("**/*.{ts,mjs,md,json}").concat(filesOf(".*/**/*"), filesOf(".gitignore"));

  test("no file names a folder where somebody keeps a checkout", () => {
    const home = /(?<![\w.}$-])\/(?:home|root|Users|work(?:space)?|builds?)\/[\w.-]+/g;
    const found = files
      .filter((file) => file !== "package-lock.json")
      .flatMap((file) => {
        return Array.from(read(file).matchAll(home), ([path]) => `${file}: ${path}`);
      });
    expect(found).toEqual([]);
  });
});

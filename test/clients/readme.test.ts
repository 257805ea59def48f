import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { renderMatrix } from "./matrix.ts";

const README = fileURLToPath(new URL("../../README.md", import.meta.url));
const BLOCK = /<!-- matrix:start -->\n[\s\S]*?<!-- matrix:end -->/;
const HOW_TO = "write it with: UPDATE_README=1 npx vitest run test/clients/readme.test.ts";

it("shows in the README what every client can ask of every provider", () => {
  const text = existsSync(README) ? readFileSync(README, "utf8") : "";
  const [shown] = BLOCK.exec(text) ?? [];
  if (shown === undefined) {
    throw new Error(
      `README.md has no lines "<!-- matrix:start -->" and "<!-- matrix:end -->"; add them where the table belongs, then ${HOW_TO}`,
    );
  }
  const block = `<!-- matrix:start -->\n\n${renderMatrix()}\n\n<!-- matrix:end -->`;
  // A function, because `$` in a replacement has a meaning.
  if (process.env.UPDATE_README)
    writeFileSync(
      README,
      text.replace(BLOCK, () => block),
    );
  else expect(shown, `the README's table is not that of test/clients/matrix.ts; ${HOW_TO}`).toBe(block);
});

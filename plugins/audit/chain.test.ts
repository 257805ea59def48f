import fc from "fast-check";
import { expect, it } from "vitest";
import { breakOf, type Entry, type Head, type Link, link, START } from "./chain.ts";

const entry = fc.record<Entry>({
  id: fc.string(),
  at: fc.nat(),
  actor_user: fc.option(fc.string()),
  actor_key: fc.option(fc.string()),
  actor_role: fc.option(fc.string()),
  action: fc.string(),
  target: fc.json(),
  status: fc.nat(),
  count: fc.nat(),
  salt: fc.string(),
  details: fc.json(),
});

function chained(entries: readonly Entry[]): Link[] {
  let head: Head = START;
  return entries.map((each) => {
    const next = link(each, head);
    head = next;
    return next;
  });
}

function firstBreak(links: readonly Link[]): string | undefined {
  let head: Head = START;
  for (const each of links) {
    const why = breakOf(each, head);
    if (why) return why;
    head = each;
  }
  return undefined;
}

it("whatever was appended is found whole", () => {
  fc.assert(
    fc.property(fc.array(entry), (entries) => {
      expect(firstBreak(chained(entries))).toBeUndefined();
    }),
  );
});

it("no row can be changed, taken out or moved unnoticed", () => {
  const several = fc.array(entry, { minLength: 3, maxLength: 8 });
  fc.assert(
    fc.property(several, fc.nat(), fc.constantFrom("change", "remove", "swap"), (entries, where, how) => {
      const links = chained(entries);
      const at = where % (links.length - 1);
      const [own, next] = [links[at] as Link, links[at + 1] as Link];
      if (how === "change") links[at] = { ...own, status: own.status + 1 };
      else if (how === "remove") links.splice(at, 1);
      else links.splice(at, 2, next, own);
      expect(firstBreak(links)).toBeDefined();
    }),
  );
});

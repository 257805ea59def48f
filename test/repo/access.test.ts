import { ROLES } from "headgate";
import { expect, test } from "vitest";
import { accessTable } from "../../core/http/access.ts";
import { allRoutes } from "../support/all-routes.ts";
import { expectGenerated, table } from "../support/pages.ts";

test("who may call which route stands in core/http/README.md", () => {
  expectGenerated("core/http/README.md", "access", table(["route", "no key", ...ROLES], accessTable(allRoutes())));
});

test("no route is there twice, and every command leads to one", () => {
  const routes = allRoutes();
  const names = routes.map(({ method, path }) => `${method} ${path}`);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  const commands = routes.flatMap(({ command }) => command ?? []);
  expect(commands.filter((name, index) => commands.indexOf(name) !== index)).toEqual([]);
});

test("what changes something is for nobody below a user, and what is documented says what it is", () => {
  for (const { method, path, access, summary } of allRoutes()) {
    if (method !== "GET") expect(ROLES, `${method} ${path}`).toContain(access);
    if (path.startsWith("/api/") && path !== "/api/openapi.json") expect(summary, `${method} ${path}`).toBeTruthy();
  }
});

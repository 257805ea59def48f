import { bind, Catalogue, ROLES } from "headgate";
import { simulator } from "headgate/providers";
import { fakeServices } from "headgate/testing";
import { expect, test } from "vitest";
import { resolveConfig } from "../../core/config/check.ts";
import { accessTable } from "../../core/http/access.ts";
import { docsRoutes } from "../../core/http/docs-routes.ts";
import { healthRoutes } from "../../core/http/health.ts";
import { modelRoutes } from "../../core/http/models-api.ts";
import { PluginSet } from "../../core/plugin-set.ts";
import { catalogue } from "../support/alerts-rig.ts";
import { allPlugins } from "../support/all-plugins.ts";
import { expectGenerated, table } from "../support/pages.ts";

/** Every route that a gateway with all built-in plugins has. */
function allRoutes() {
  const { plugins } = resolveConfig({ providers: [simulator()], plugins: allPlugins() });
  const own = new PluginSet(plugins, fakeServices([bind(Catalogue, catalogue)]).scope).routes();
  return [...healthRoutes({} as never, {} as never), ...modelRoutes(catalogue), ...own, ...docsRoutes([])];
}

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

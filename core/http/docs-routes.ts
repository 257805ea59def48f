import type { ApiRoute } from "./api.ts";
import { docsPage } from "./docs-page.ts";
import { openApiDocument } from "./openapi.ts";

/** What describes the other routes, to programs and to people. Made when first asked for. */
export function docsRoutes(routes: readonly ApiRoute[]): ApiRoute[] {
  let description: string | undefined;
  let page: string | undefined;
  return [
    {
      method: "GET",
      path: "/api/openapi.json",
      access: "public",
      handle() {
        description ??= JSON.stringify(openApiDocument(routes));
        return { body: description, type: "application/json" };
      },
    },
    {
      method: "GET",
      path: "/docs",
      access: "public",
      handle() {
        page ??= docsPage(routes);
        return { body: page, type: "text/html; charset=utf-8" };
      },
    },
  ];
}

import { type ApiRoute, bind, Catalogue } from "headgate";
import { simulator } from "headgate/providers";
import { fakeServices } from "headgate/testing";
import { resolveConfig } from "../../core/config/check.ts";
import { docsRoutes } from "../../core/http/docs-routes.ts";
import { healthRoutes } from "../../core/http/health.ts";
import { modelRoutes } from "../../core/http/models-api.ts";
import { PluginSet } from "../../core/plugin-set.ts";
import { catalogue } from "./alerts-rig.ts";
import { allPlugins } from "./all-plugins.ts";

/** Every route of the control plane that a gateway with all built-in plugins has. */
export function allRoutes(): readonly ApiRoute[] {
  const { plugins } = resolveConfig({ providers: [simulator()], plugins: allPlugins() });
  const own = new PluginSet(plugins, fakeServices([bind(Catalogue, catalogue)]).scope).routes();
  return [...healthRoutes({} as never, {} as never), ...modelRoutes(catalogue), ...own, ...docsRoutes([])];
}

export function nameOf({ method, path }: ApiRoute): string {
  return `${method} ${path}`;
}

/** Whose user and key the parameters of a path are to name. */
export interface Owner {
  readonly id: string;
  readonly keyId: string;
}

export function pathFor({ path }: ApiRoute, { id, keyId }: Owner): string {
  const filled = path.replace("/api/users/:id", `/api/users/${id}`).replace("/api/keys/:id", `/api/keys/${keyId}`);
  if (filled.includes(":")) throw new Error(`what ${path} is about has to be said here`);
  return filled;
}

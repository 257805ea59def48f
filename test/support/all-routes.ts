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

import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import cors from "@koa/cors";
import Router from "@koa/router";
import helmet from "helmet";
import Koa, { type Context } from "koa";
import type { Dialect, Route } from "../dialects/dialect.ts";
import { DIALECTS } from "../dialects/index.ts";
import { asGatewayError, GatewayError } from "../errors.ts";
import type { ApiRoute } from "./api.ts";
import { readJson } from "./body.ts";
import type { DataPlane, ServerState } from "./data-plane.ts";
import { checkHeaders, checkHost, isLoopback, normalPath } from "./edge.ts";
import { sendError } from "./errors.ts";
import { healthRoutes } from "./health.ts";
import { serve } from "./serve.ts";

type ClientSide = Dialect & { readonly client: NonNullable<Dialect["client"]> };

/** The HTTP side of one data plane: guards, then routes; any throw ends at the error edge, in the client's own dialect. */
export function createApp(plane: DataPlane, server: ServerState, apiRoutes: readonly ApiRoute[]): RequestListener {
  const { settings, ids } = plane;
  const allowedHosts = new Set(settings.server.allowedHosts.map((host) => host.toLowerCase()));
  const app = new Koa();
  const router = new Router({ strict: true, sensitive: true });
  const clients = clientDialects();

  app.use(async (context, next) => {
    const id = ids.next("req");
    context.state.id = id;
    try {
      const path = normalPath(context.req.url ?? "");
      checkHeaders(context.req);
      checkHost(context.req.headers.host, allowedHosts);
      if (server.draining) {
        context.res.setHeader("connection", "close");
        if (!path.startsWith("/health") && path !== "/v1/health") throw new GatewayError("shutting_down");
      }
      await next();
      // Every handler takes the response over; what is still Koa's had no route.
      if (context.respond !== false && context.method !== "OPTIONS") throw new GatewayError("not_found");
    } catch (thrown) {
      const error = asGatewayError(thrown);
      plane.calls.rejected(error, id);
      refuse(context, error, clients, id);
    }
  });
  if (settings.server.corsOrigins.length > 0) app.use(cors({ origin: allowOrigin(settings.server.corsOrigins) }));

  for (const dialect of clients) {
    for (const route of dialect.client.routes) {
      router.register(route.path, [route.method], (context: Context) => {
        context.respond = false;
        return serve(plane, route, dialect, context.req, context.res, context.state.id);
      });
    }
  }
  const pageHeaders = helmetHeaders();
  for (const route of [...healthRoutes(plane, server), ...apiRoutes]) {
    router.register(route.path, [route.method], (context: Context) => answerApi(plane, route, context, pageHeaders));
  }
  app.use(router.routes());
  app.use(
    router.allowedMethods({
      throw: true,
      methodNotAllowed: () => new GatewayError("method_not_allowed"),
      notImplemented: () => new GatewayError("method_not_allowed"),
    }),
  );
  return app.callback();
}

function clientDialects(): ClientSide[] {
  return [...DIALECTS.values()].filter((dialect): dialect is ClientSide => dialect.client !== undefined);
}

function allowOrigin(origins: readonly string[]): (context: Context) => string {
  return (context) => {
    const origin = context.get("origin");
    return origins.includes("*") ? "*" : origins.includes(origin) ? origin : "";
  };
}

/** helmet's headers do not depend on the request: asked once, sent from memory. */
function helmetHeaders(): Record<string, string> {
  const headers: Record<string, string> = {};
  const response = { setHeader: (name: string, value: string) => (headers[name.toLowerCase()] = value), removeHeader: () => undefined };
  helmet()({} as IncomingMessage, response as unknown as ServerResponse, () => undefined);
  return headers;
}

async function answerApi(plane: DataPlane, route: ApiRoute, context: Context, pageHeaders: Record<string, string>): Promise<void> {
  context.respond = false;
  const { req, res } = context;
  if (route.access === "operator" && !isLoopback(req.socket.remoteAddress)) throw new GatewayError("not_found");
  const controller = new AbortController();
  res.once("close", () => controller.abort(new GatewayError("client_closed")));
  const {
    body,
    status = 200,
    type,
    headers,
  } = await route.handle({
    params: context.params,
    query: new URLSearchParams(context.querystring),
    body: route.method === "GET" || route.method === "DELETE" ? undefined : await readJson(req, res, plane.settings.server.limits),
    signal: controller.signal,
  });
  const text = typeof body === "string" ? body : JSON.stringify(body);
  res.writeHead(status, {
    ...pageHeaders,
    "content-type": typeof body === "string" ? (type ?? "text/plain; charset=utf-8") : "application/json",
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
    "x-request-id": context.state.id,
    ...headers,
  });
  res.end(text);
}

/** Answers a request that was turned away, in the dialect of the path it came to. What is left of its body is not waited for. */
function refuse(context: Context, error: GatewayError, clients: readonly ClientSide[], id: string): void {
  context.respond = false;
  const { req, res } = context;
  const path = req.url ?? "";
  const owner =
    clients.find(({ client }) => client.routes.some((route: Route) => path.startsWith(route.path))) ?? (clients[0] as ClientSide);
  const unread = !req.complete;
  if (unread) res.once("finish", () => req.socket.destroySoon());
  sendError(res, error, owner.client, id, unread ? { connection: "close" } : {});
}

import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import cors from "@koa/cors";
import Router from "@koa/router";
import Koa, { type Context } from "koa";
import { asGatewayError, GatewayError } from "../errors.ts";
import type { Clock } from "../services/clock.ts";
import type { ApiRoute } from "./api.ts";
import { readJson } from "./body.ts";
import { CLIENT_DIALECTS, dialectOf } from "./client-dialects.ts";
import type { ControlPlane } from "./control-plane.ts";
import type { DataPlane, ServerState } from "./data-plane.ts";
import { checkHeaders, checkHost, checkQuery, clientIp, isLocal, normalPath } from "./edge.ts";
import { errorResponse } from "./errors.ts";
import { sendAnswer } from "./send.ts";
import { serve } from "./serve.ts";

/** How long the rest of a refused body is read, and thrown away, before the connection is closed. */
const LINGER_MS = 1_000;

type Handle = (request: IncomingMessage, response: ServerResponse, id: string) => Promise<void>;

/**
 * The HTTP side of one data plane: guards, then routes; any throw ends at the error edge, in the client's own dialect.
 * Calls of the data plane are answered without Koa, whose context costs as much CPU as all that is done for one; browsers
 * (with an `Origin`), everything with a query, and the rest of the API go through it.
 */
export function createApp(plane: DataPlane, server: ServerState, control: ControlPlane): RequestListener {
  const { settings } = plane;
  const edge = new Edge(plane, server);
  const app = new Koa();
  // What it would print is a client's lost connection, which `serve` knows of.
  app.silent = true;
  const router = new Router({ strict: true, sensitive: true });
  const direct = new Map<string, Handle>();

  app.use((context, next) => {
    context.respond = false;
    return edge.guard(context.req, context.res, async (_request, _response, id) => {
      context.state.id = id;
      context.respond = true;
      await next();
      if (isUnanswered(context)) {
        context.respond = false;
        throw new GatewayError(context.status === 404 ? "not_found" : "method_not_allowed");
      }
    });
  });
  if (settings.server.corsOrigins.length > 0) app.use(cors({ origin: allowOrigin(settings.server.corsOrigins) }));

  for (const dialect of CLIENT_DIALECTS) {
    for (const route of dialect.client.routes) {
      const handle: Handle = (request, response, id) => serve(plane, route, dialect, request, response, id);
      direct.set(`${route.method} ${route.path}`, handle);
      router.register(route.path, [route.method], (context: Context) => {
        context.respond = false;
        return handle(context.req, context.res, context.state.id);
      });
    }
  }
  for (const route of control.routes) {
    router.register(route.path, [route.method], (context: Context) => answerApi(plane, control, route, context));
  }
  app.use(router.routes());
  app.use(router.allowedMethods());
  const koa = app.callback();
  return (request, response) => {
    const handle = request.headers.origin === undefined ? direct.get(`${request.method} ${request.url}`) : undefined;
    if (handle) void edge.guard(request, response, handle);
    else void koa(request, response);
  };
}

/** Every handler takes the response over; what is still Koa's had no route. */
function isUnanswered({ respond, status }: Context): boolean {
  return respond !== false && status >= 400;
}

/** What every request has to pass, and where every refusal is written. */
class Edge {
  readonly #plane: DataPlane;
  readonly #server: ServerState;
  readonly #allowedHosts: ReadonlySet<string>;
  readonly #turnedAway = new WeakSet<Socket>();
  /** The last `Host` that was found good; nearly every request names the same. Null, which no request can name, before that. */
  #knownHost: string | null | undefined = null;

  constructor(plane: DataPlane, server: ServerState) {
    this.#plane = plane;
    this.#server = server;
    this.#allowedHosts = new Set(plane.settings.server.allowedHosts.map((host) => host.toLowerCase()));
  }

  /** Checks a request, gives it an id and has it handled; writes the error of whatever throws. */
  async guard(request: IncomingMessage, response: ServerResponse, handle: Handle): Promise<void> {
    // What is pipelined behind a request that was turned away in the middle is not to be trusted, nor answered.
    if (this.#turnedAway.has(request.socket)) return;
    const id = this.#plane.ids.next("req");
    try {
      const path = normalPath(request.url ?? "");
      if (request.url?.includes("?")) checkQuery(request.url);
      checkHeaders(request);
      if (request.headers.host !== this.#knownHost) {
        checkHost(request.headers.host, this.#allowedHosts);
        this.#knownHost = request.headers.host;
      }
      if (this.#server.draining) {
        response.setHeader("connection", "close");
        if (!path.startsWith("/health") && path !== "/v1/health") throw new GatewayError("shutting_down");
      }
      await handle(request, response, id);
    } catch (thrown) {
      const error = asGatewayError(thrown);
      this.#plane.calls.rejected(error, id);
      if (!request.complete) this.#turnedAway.add(request.socket);
      refuse(request, response, error, id, this.#plane.clock);
    }
  }
}

function allowOrigin(origins: readonly string[]): (context: Context) => string {
  return (context) => {
    const origin = context.get("origin");
    return origins.includes("*") ? "*" : origins.includes(origin) ? origin : "";
  };
}

async function answerApi(plane: DataPlane, control: ControlPlane, route: ApiRoute, context: Context): Promise<void> {
  context.respond = false;
  const { req, res } = context;
  const controller = new AbortController();
  res.once("close", () => controller.abort(new GatewayError("client_closed")));
  const answer = await control.answer(route, {
    headers: req.headers,
    ip: clientIp(req, plane.settings.server.trustedHops),
    local: isLocal(req),
    requestId: context.state.id,
    params: context.params,
    query: new URLSearchParams(context.querystring),
    signal: controller.signal,
    body: () => readJson(req, res, plane.settings.server.limits),
  });
  await sendAnswer(res, answer, context.state.id, { clock: plane.clock, stallMs: plane.settings.server.limits.stallMs });
}

/** Answers a request that was turned away, in the dialect of the path it came to, without waiting for what is left of its body. */
function refuse(req: IncomingMessage, res: ServerResponse, error: GatewayError, id: string, clock: Clock): void {
  if (res.headersSent || !res.writable) return;
  const unread = !req.complete;
  const { headers, body } = errorResponse(error, dialectOf(req.url ?? "").client, id);
  res.writeHead(error.status, unread ? { ...headers, connection: "close" } : headers);
  res.write(body);
  if (!unread) return void res.end();
  // Closing while the client still sends would reset the connection, and its system might throw the answer away (RFC 9112, 9.6).
  const end = () => {
    linger.cancel();
    res.end();
  };
  const linger = clock.timer(LINGER_MS, end);
  req.once("end", end).once("close", end).resume();
}

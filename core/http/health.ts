import { VERSION } from "../version.ts";
import type { ApiResponse, ApiRoute } from "./api.ts";
import type { DataPlane, ServerState } from "./data-plane.ts";

/** Liveness never depends on anything outside the process; readiness turns 503 while draining or when a plugin is down. */
export function healthRoutes(plane: DataPlane, server: ServerState): ApiRoute[] {
  const report = (): ApiResponse => {
    const parts = plane.health();
    const degraded = Object.keys(parts).filter((name) => parts[name]?.status !== "ok");
    const down = Object.values(parts).some(({ status }) => status === "down");
    const status = server.draining ? "draining" : down ? "down" : degraded.length > 0 ? "degraded" : "ok";
    const uptime = Math.round((plane.clock.monotonic() - server.startedAt) / 1000);
    return {
      status: server.draining || down ? 503 : 200,
      body: { status, version: VERSION, uptime_seconds: uptime, degraded, plugins: parts },
    };
  };
  const route = (path: string, summary: string, handle: ApiRoute["handle"]): ApiRoute => ({
    method: "GET",
    path,
    access: "public",
    summary,
    handle,
  });
  return [
    route("/health", "How the gateway and its plugins are; 503 when one is down", report),
    route("/v1/health", "The same, where clients of /v1 look for it", report),
    route("/health/ready", "Whether it takes calls: 503 while it drains or is down", report),
    route("/health/live", "Whether the process lives; never depends on anything else", () => ({ body: { status: "ok" } })),
  ];
}

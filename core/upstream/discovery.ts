import type { JsonObject } from "../dialects/canonical.ts";
import { GatewayError } from "../errors.ts";
import type { Provider } from "../provider.ts";
import type { Clock } from "../services/clock.ts";
import { parseObject, readAll } from "./body.ts";
import type { UpstreamClient } from "./client.ts";

const DEADLINE = 5_000;
const LARGEST = 8 * 1024 * 1024;

/** A provider's own model list, as JSON. Rejects after 5 s, on any status but 200, and on anything that is not an object. */
export async function fetchList(client: UpstreamClient, provider: Provider, path: string, clock: Clock): Promise<JsonObject> {
  const pending = client.send({
    method: "GET",
    url: provider.baseUrl + path,
    headers: { ...provider.headers(), accept: "application/json", "accept-encoding": "identity" },
    body: null,
  });
  const timer = clock.timer(DEADLINE, () => pending.destroy(new GatewayError("upstream_timeout")));
  try {
    const response = await pending.response;
    const { status } = response;
    const bytes = await readAll(response, LARGEST);
    if (status !== 200)
      throw new GatewayError("upstream_failed", { cause: new Error(`${provider.name} answered ${status} for its model list`) });
    return parseObject(bytes);
  } finally {
    timer.cancel();
  }
}

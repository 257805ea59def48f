import { type Clock, GatewayError, type HttpClient } from "headgate";
import { DeliveryError } from "./channel.ts";

/** For one request, its answer included, in ms. */
const DEADLINE_MS = 10_000;

export type Post = (url: string, body: string, headers?: Readonly<Record<string, string>>) => Promise<void>;

/** Sends JSON to one of the outside's webhooks; resolves when that takes it (2xx). */
export function poster(http: HttpClient, clock: Clock): Post {
  return async (url, body, headers = {}) => {
    const pending = http.send({
      method: "POST",
      url,
      headers: { "content-type": "application/json", "user-agent": "headgate-alerts", ...headers },
      body,
    });
    const timer = clock.timer(DEADLINE_MS, () => pending.destroy(new GatewayError("upstream_timeout")));
    try {
      const { status, body: answer } = await pending.response;
      // What it says is of no use here; a request that gets no more attention frees its connection.
      answer.destroy();
      if (status >= 200 && status < 300) return;
      const busy = status >= 500 || status === 429 || status === 408;
      throw new DeliveryError(busy ? "channel" : "message", `answered ${status}`);
    } catch (error) {
      if (error instanceof DeliveryError) throw error;
      const code = error instanceof GatewayError ? error.code.replace("upstream_", "") : "failed";
      throw new DeliveryError("channel", code === "timeout" ? `no answer within ${DEADLINE_MS / 1000} s` : code);
    } finally {
      timer.cancel();
    }
  };
}

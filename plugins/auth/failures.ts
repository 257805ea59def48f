import { type Clock, GatewayError } from "headgate";
import ipaddr from "ipaddr.js";
import { Recent } from "./recent.ts";

const MINUTE_MS = 60_000;
const ADDRESSES_KEPT = 10_000;

/** Counts wrong credentials by address, in windows of a minute. An IPv6 network of 64 bits is one address: whoever has one has all. */
export class Failures {
  readonly #clock: Clock;
  readonly #most: number;
  readonly #windows = new Recent<{ readonly since: number; count: number }>(ADDRESSES_KEPT);

  constructor(clock: Clock, perMinute: number) {
    this.#clock = clock;
    this.#most = perMinute;
  }

  /** Throws `rate_limited` once an address has failed too often. */
  check(ip: string): void {
    const now = this.#clock.monotonic();
    const window = this.#windows.get(networkOf(ip));
    if (!window || window.count < this.#most || now - window.since >= MINUTE_MS) return;
    throw new GatewayError("rate_limited", {
      message: "Too many wrong API keys from this address; try again in a minute.",
      retryAfter: Math.max(1, Math.ceil((window.since + MINUTE_MS - now) / 1000)),
    });
  }

  count(ip: string): void {
    const now = this.#clock.monotonic();
    const network = networkOf(ip);
    const window = this.#windows.get(network);
    if (window && now - window.since < MINUTE_MS) window.count += 1;
    else this.#windows.set(network, { since: now, count: 1 });
  }
}

function networkOf(ip: string): string {
  if (!ip.includes(":") || !ipaddr.isValid(ip)) return ip;
  const address = ipaddr.process(ip);
  return address.kind() === "ipv4" ? address.toString() : address.toByteArray().slice(0, 8).join(".");
}

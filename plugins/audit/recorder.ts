import type { Clock, ErrorCode, EventMap, Exchange, Ids, Outcome, Spool, Spools, Timer } from "headgate";
import type { Entry } from "./chain.ts";
import { entryOfCall, entryOfRefusal } from "./entries.ts";
import { Refusals } from "./refusals.ts";
import type { Trail } from "./trail.ts";

/** Refusals by policy; that a request made no sense is no business of an audit. */
const POLICY = new Set<ErrorCode | undefined>([
  "invalid_api_key",
  "permission_denied",
  "account_suspended",
  "insufficient_quota",
  "rate_limited",
]);
/** How long equal refusals are counted together, in ms. */
const COUNTED_MS = 60_000;
/** For what is left to be delivered at a stop, in ms. */
const CLOSE_MS = 3_000;
/** Rows of one transaction. */
const BATCH = 100;

export interface RecorderParts {
  readonly trail: Trail;
  readonly spools: Spools;
  readonly clock: Clock;
  readonly ids: Ids;
}

/** Writes down what happens, off the way of any request: into a spool at once, from there into the chain. */
export class Recorder {
  readonly #parts: RecorderParts;
  readonly #refusals = new Refusals();
  #spool: Spool | undefined;
  #timer: Timer | undefined;

  constructor(parts: RecorderParts) {
    this.#parts = parts;
  }

  async open(): Promise<void> {
    const { trail, spools, clock } = this.#parts;
    const deliver = (records: readonly string[]) => trail.append(records.map((record) => JSON.parse(record) as Entry));
    this.#spool = await spools.open({ name: "audit", deliver, batch: BATCH });
    this.#timer = clock.interval(COUNTED_MS, () => this.#writeRefusals());
  }

  called(event: EventMap["api.handled"]): void {
    const { caller, ip, error, status, method, route, params } = event;
    if (error !== undefined && (POLICY.has(error) || method === "GET")) {
      this.#refusals.add({ caller, ip, code: error, status, target: { ...params, route: `${method} ${route}` } }, this.#now());
    } else this.#write(entryOfCall(event, this.#now(), this.#parts.ids));
  }

  settled({ caller, client, operation }: Exchange, { kind, error, status }: Outcome): void {
    if (kind !== "refused" || !error || !POLICY.has(error.code)) return;
    this.#refusals.add({ caller, ip: client.ip, code: error.code, status, target: { operation } }, this.#now());
  }

  /** Resolves to whether all that happened by now is in the chain within `ms`. */
  async flushed(ms: number): Promise<boolean> {
    this.#writeRefusals();
    return (await this.#spool?.drained(ms)) ?? true;
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    this.#writeRefusals();
    await this.#spool?.close(CLOSE_MS);
  }

  #now(): number {
    return this.#parts.clock.now().getTime();
  }

  #writeRefusals(): void {
    for (const refusal of this.#refusals.take()) this.#write(entryOfRefusal(refusal, this.#parts.ids));
  }

  #write(entry: Entry): void {
    this.#spool?.append(JSON.stringify(entry));
  }
}

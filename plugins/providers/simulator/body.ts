import { type Clock, GatewayError, type Timer, type UpstreamBody } from "headgate";

/** One piece of a body and the time it takes to make, in ms; Infinity for one that never comes. */
export interface Step {
  readonly text: string;
  readonly after: number;
}

/** A body whose pieces are made one by one as they are read, each in its own time. */
export class PacedBody implements UpstreamBody {
  readonly #steps: Iterator<Step>;
  readonly #clock: Clock;
  /** Monotonic ms at which the last piece was ready. */
  #readyAt: number;
  #error: GatewayError | undefined;
  #waiting: { readonly timer: Timer | undefined; readonly reject: (error: GatewayError) => void } | undefined;

  constructor(steps: Iterator<Step>, clock: Clock) {
    this.#steps = steps;
    this.#clock = clock;
    this.#readyAt = clock.monotonic();
  }

  async read(): Promise<Buffer | null> {
    if (this.#error) throw this.#error;
    const { done, value } = this.#steps.next();
    if (done) return null;
    if (value.after > 0) await this.#make(value.after);
    return Buffer.from(value.text);
  }

  destroy(reason = new GatewayError("client_closed")): void {
    if (this.#error) return;
    this.#error = reason;
    this.#waiting?.timer?.cancel();
    this.#waiting?.reject(reason);
    this.#waiting = undefined;
    this.#steps.return?.();
  }

  async #make(ms: number): Promise<void> {
    const now = this.#clock.monotonic();
    const due = this.#readyAt + ms;
    this.#readyAt = Math.max(due, now);
    // Timers know whole milliseconds only; the rest is owed to the next piece.
    if (due - now < 1) return;
    await new Promise<void>((resolve, reject) => {
      const done = () => {
        this.#waiting = undefined;
        resolve();
      };
      this.#waiting = { timer: due === Infinity ? undefined : this.#clock.timer(due - now, done), reject };
    });
  }
}

import type { Socket } from "node:net";
import type { Clock, Timer } from "../services/clock.ts";
import type { Random } from "../services/random.ts";

/** Bytes that may be under way before the sender is held back. */
const HIGH_WATER = 256 * 1024;

/** What happens to the bytes of one direction. */
export interface Faults {
  /** Ms by which each piece arrives later. */
  readonly latency?: number;
  /** Up to so many ms more or less, drawn for each piece; the order is kept. */
  readonly jitter?: number;
  /** Largest piece, in bytes. */
  readonly slice?: number;
  /** Bytes per second. */
  readonly bandwidth?: number;
  /** Ends the connection, both sides, when so many bytes have passed in this direction. */
  readonly cut?: { readonly at: number; readonly how: "fin" | "reset" };
  /** Holds everything back, an end of the connection too, until lifted: the half-open connection, the black hole. */
  readonly stall?: boolean;
  /** Takes bytes and loses them. */
  readonly drop?: boolean;
}

export interface PipeContext {
  readonly clock: Clock;
  readonly random: Random;
  faults(): Faults;
  onData(data: Buffer): void;
  onPassed(bytes: number): void;
  cut(how: "fin" | "reset"): void;
}

/** One direction of one connection: a queue of pieces, each with the time at which it is due. */
export class Pipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #context: PipeContext;
  readonly #queue: { readonly data: Buffer; readonly due: number }[] = [];
  #queued = 0;
  #passed = 0;
  #lastDue = 0;
  #timer: Timer | undefined;
  #turn: NodeJS.Immediate | undefined;
  #finish: (() => void) | undefined;
  #draining = false;
  #stopped = false;

  constructor(from: Socket, to: Socket, context: PipeContext) {
    this.#from = from;
    this.#to = to;
    this.#context = context;
    from.on("data", (data: Buffer) => this.#take(data));
    from.once("end", () => this.broken(() => to.end()));
    to.on("drain", () => {
      this.#draining = false;
      this.wake();
    });
  }

  /** What to do about an end of the connection, once everything before it has been passed on. */
  broken(finish: () => void): void {
    this.#finish ??= finish;
    this.wake();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    clearImmediate(this.#turn);
    this.#queue.length = 0;
  }

  /** Passes on what is due. */
  wake(): void {
    this.#timer?.cancel();
    clearImmediate(this.#turn);
    const { clock } = this.#context;
    for (;;) {
      const { stall, cut, slice } = this.#context.faults();
      if (this.#stopped || stall || this.#draining) return;
      if (cut && this.#passed >= cut.at) {
        this.#context.cut(cut.how);
        return;
      }
      const piece = this.#queue[0];
      if (!piece) {
        this.#finish?.();
        return;
      }
      const wait = piece.due - clock.monotonic();
      if (wait > 0) {
        this.#timer = clock.timer(wait, () => this.wake());
        return;
      }
      this.#pass(piece.data, cut?.at);
      if (slice !== undefined && this.#queue.length > 0) {
        // A turn of the event loop in between, or the receiver's kernel would put the slices together again.
        this.#turn = setImmediate(() => this.wake());
        return;
      }
    }
  }

  #take(data: Buffer): void {
    this.#context.onData(data);
    const { slice = data.length, latency = 0, jitter = 0, bandwidth = Infinity, drop } = this.#context.faults();
    if (drop || this.#stopped) return;
    const { clock, random } = this.#context;
    const size = Math.min(slice, Math.max(1, Math.floor(bandwidth / 20)));
    for (let at = 0; at < data.length; at += size) {
      const piece = data.subarray(at, at + size);
      const swing = jitter > 0 ? (random.next() * 2 - 1) * jitter : 0;
      const arrival = Math.max(clock.monotonic() + latency + swing, this.#lastDue);
      this.#lastDue = arrival + (piece.length / bandwidth) * 1_000;
      this.#queue.push({ data: piece, due: this.#lastDue });
    }
    this.#queued += data.length;
    if (this.#queued > HIGH_WATER) this.#from.pause();
    this.wake();
  }

  #pass(data: Buffer, limit = Infinity): void {
    const allowed = data.subarray(0, limit - this.#passed);
    this.#queue.shift();
    this.#queued -= data.length;
    if (this.#queued <= HIGH_WATER) this.#from.resume();
    this.#passed += allowed.length;
    this.#context.onPassed(allowed.length);
    this.#draining = !this.#to.write(allowed);
  }
}

import type { Dispatcher, Pool } from "undici";
import { CHUNKS, isAnswer, request, streamedText } from "./payload.ts";

let last = 0;

/** Common to both: sends, takes the time, and turns whatever goes wrong into one sentence. */
abstract class Call implements Dispatcher.DispatchHandler {
  protected readonly number = ++last;
  protected readonly begun = performance.now();
  protected abstract readonly fail: (error: Error) => void;

  protected send(pool: Pool, headers: Record<string, string>, stream: boolean): void {
    pool.dispatch({ path: "/v1/chat/completions", method: "POST", headers, body: request(this.number, stream) }, this);
  }

  abstract onResponseData(controller: Dispatcher.DispatchController, piece: Buffer): void;
  abstract onResponseEnd(): void;

  // undici asks for it, though there is nothing to prepare.
  onRequestStart(): void {}

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status !== 200) controller.abort(new Error(`status ${status}`));
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.fail(new Error(`call ${this.number}: ${error.message}`));
  }
}

/** One call answered whole. */
export class JsonCall extends Call {
  protected readonly fail: (error: Error) => void;
  readonly #resolve: (ms: number) => void;
  #body = "";

  private constructor(resolve: (ms: number) => void, reject: (error: Error) => void) {
    super();
    this.#resolve = resolve;
    this.fail = reject;
  }

  /** Resolves with the milliseconds it took. */
  static send(pool: Pool, headers: Record<string, string>): Promise<number> {
    return new Promise((resolve, reject) => new JsonCall(resolve, reject).send(pool, headers, false));
  }

  onResponseData(_controller: Dispatcher.DispatchController, piece: Buffer): void {
    this.#body += piece.toString("latin1");
  }

  onResponseEnd(): void {
    const ms = performance.now() - this.begun;
    if (isAnswer(this.#body, this.number)) this.#resolve(ms);
    else this.fail(new Error(`call ${this.number} got another answer: ${this.#body.slice(0, 200)}`));
  }
}

interface Chunk {
  readonly choices: readonly { readonly delta?: { readonly content?: string } }[];
  readonly usage?: unknown;
}

/** One streamed call: the text added up, its usage and its terminator seen. */
export class StreamCall extends Call {
  /** Resolves when half of the chunks are here. */
  readonly middle: Promise<void>;
  /** Resolves when the stream has ended and all of it was right. */
  readonly whole: Promise<StreamCall>;
  firstMs = 0;
  reads = 0;
  protected readonly fail: (error: Error) => void;
  readonly #halfway: () => void;
  readonly #finish: (call: StreamCall) => void;
  #rest = "";
  #text = "";
  #chunks = 0;
  #usage = false;
  #done = false;

  private constructor() {
    super();
    const middle = Promise.withResolvers<void>();
    const whole = Promise.withResolvers<StreamCall>();
    this.middle = middle.promise;
    this.whole = whole.promise;
    this.#halfway = middle.resolve;
    this.#finish = whole.resolve;
    this.fail = whole.reject;
  }

  static open(pool: Pool, headers: Record<string, string>): StreamCall {
    const call = new StreamCall();
    call.send(pool, headers, true);
    return call;
  }

  onResponseData(_controller: Dispatcher.DispatchController, piece: Buffer): void {
    this.reads++;
    const events = (this.#rest + piece.toString("latin1")).split("\n\n");
    this.#rest = events.pop() ?? "";
    for (const event of events) this.#event(event);
  }

  #event(event: string): void {
    // A stream that is held for long is kept open with comments.
    if (event.startsWith(":")) return;
    if (event === "data: [DONE]") {
      this.#done = true;
      return;
    }
    const { choices, usage } = JSON.parse(event.slice("data: ".length)) as Chunk;
    const content = choices[0]?.delta?.content ?? "";
    if (this.#text === "" && content !== "") this.firstMs = performance.now() - this.begun;
    this.#text += content;
    this.#usage ||= Boolean(usage);
    if (++this.#chunks === CHUNKS / 2) this.#halfway();
  }

  onResponseEnd(): void {
    if (this.#done && this.#usage && this.#text === streamedText(this.number)) this.#finish(this);
    else {
      const seen = `${this.#chunks} chunks, ${this.#usage ? "usage" : "no usage"}, ${this.#done ? "[DONE]" : "no [DONE]"}`;
      this.fail(new Error(`stream ${this.number} did not come whole: ${seen}, ${JSON.stringify(this.#text.slice(0, 100))}`));
    }
  }
}

import type { JsonObject } from "../dialects/canonical.ts";
import { type ClientCall, marked, readAnswer } from "./histories.ts";

export interface RecordedRequest {
  /** `/v1/chat/completions` by default. */
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The key itself; sent as a bearer token. */
  readonly secret?: string;
  /** Its id in the ledger. */
  readonly key?: string;
  readonly tenant?: string;
  readonly model: string;
  readonly prompt?: string;
  /** True by default. */
  readonly stream?: boolean;
  /** Further fields of the body, or other ones. */
  readonly body?: JsonObject;
  /** Leaves once this says so of everything received. */
  leave?(soFar: string): boolean;
  /** Leaves when it aborts. */
  readonly signal?: AbortSignal;
}

/** A client that numbers its calls and writes down what it saw of each. */
export class ClientRecorder {
  readonly calls: ClientCall[] = [];
  #numbers = 0;
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** Makes one call and reads its answer as long as there is one; never rejects. */
  async call(request: RecordedRequest): Promise<ClientCall> {
    const number = ++this.#numbers;
    const leaving = new AbortController();
    const signal = request.signal ? AbortSignal.any([request.signal, leaving.signal]) : leaving.signal;
    const seen = { status: 0, raw: "", broken: false };
    try {
      const response = await fetch(this.#url + (request.path ?? "/v1/chat/completions"), {
        method: "POST",
        signal,
        ...encoded(number, request),
      });
      seen.status = response.status;
      const decoder = new TextDecoder();
      for await (const piece of response.body ?? []) {
        seen.raw += decoder.decode(piece as Uint8Array, { stream: true });
        if (request.leave?.(seen.raw)) leaving.abort();
      }
    } catch {
      seen.broken = !signal.aborted;
    }
    const { key, tenant } = request;
    const call = {
      call: number,
      ...(key === undefined ? {} : { key }),
      ...(tenant === undefined ? {} : { tenant }),
      ...seen,
      answer: readAnswer(seen.raw),
      left: signal.aborted,
    };
    this.calls.push(call);
    return call;
  }
}

function encoded(
  number: number,
  { headers, secret, model, prompt, stream = true, body }: RecordedRequest,
): { headers: Record<string, string>; body: string } {
  const messages = [{ role: "user", content: marked(number, prompt) }];
  return {
    headers: {
      "content-type": "application/json",
      "user-agent": marked(number, "headgate-checker"),
      ...(secret === undefined ? {} : { authorization: `Bearer ${secret}` }),
      ...headers,
    },
    body: JSON.stringify({ model, stream, max_tokens: 1_000, messages, ...body }),
  };
}

import { type IncomingMessage, request } from "node:http";
import { createParser } from "eventsource-parser";

/** The dialects that clients speak, and where. */
export const PATHS = { "openai-chat": "/v1/chat/completions", "anthropic-messages": "/v1/messages" } as const;
export type ClientDialect = keyof typeof PATHS;
export const CLIENTS = Object.keys(PATHS) as ClientDialect[];

/** What one call came to, as a client sees it. */
export interface Seen {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  /** Everything received. */
  readonly raw: string;
  /** Answer text so far. */
  readonly text: string;
  /** Whether the terminator came. */
  readonly ended: boolean;
  /** The stated reason for the end, if any. */
  readonly finish: string | null;
  /** Errors that the stream or the body reported. */
  readonly errors: readonly { readonly type: string; readonly message: string; readonly code?: string }[];
  /** What came last: an error, the terminator, or anything else. */
  readonly last: "error" | "end" | "other";
  /** Heartbeats. */
  readonly comments: number;
  /** Whether the connection broke before the response was complete. */
  readonly broken: boolean;
}

export interface Ask {
  /** `provider/model` or an alias. */
  readonly model: string;
  /** True by default. */
  readonly stream?: boolean;
  readonly content?: string;
  /** Further fields of the body. */
  readonly body?: object;
}

export function bodyOf({ model, stream = true, content = "Hi", body }: Ask): string {
  return JSON.stringify({ model, stream, max_tokens: 1_000, messages: [{ role: "user", content }], ...body });
}

/** Sends one call over a connection of its own; resolves when the head of the response is there. */
export function ask(url: string, client: ClientDialect, what: Ask): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const sent = request(`${url}${PATHS[client]}`, { method: "POST", agent: false, headers }, resolve);
    sent.once("error", reject);
    sent.end(bodyOf(what));
  });
}

/** Reads a response to its end, however it ends. */
export async function see(client: ClientDialect, response: IncomingMessage, onPiece?: (soFar: Seen) => void): Promise<Seen> {
  const reading = new Reading(client, response);
  response.setEncoding("utf8");
  try {
    for await (const piece of response) {
      reading.push(piece as string);
      onPiece?.(reading);
    }
  } catch {
    reading.broken = true;
  }
  reading.close();
  return reading;
}

export async function askAndSee(url: string, client: ClientDialect, what: Ask): Promise<Seen> {
  return see(client, await ask(url, client, what));
}

type Event = Record<string, never> & { readonly type?: string };

class Reading implements Seen {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  raw = "";
  text = "";
  ended = false;
  finish: string | null = null;
  readonly errors: { type: string; message: string; code?: string }[] = [];
  last: Seen["last"] = "other";
  comments = 0;
  broken = false;
  readonly #client: ClientDialect;
  readonly #parser = createParser({
    onEvent: ({ data }) => this.#event(data),
    onComment: () => {
      this.comments += 1;
    },
  });

  constructor(client: ClientDialect, response: IncomingMessage) {
    this.#client = client;
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
  }

  push(piece: string): void {
    this.raw += piece;
    if (this.#streamed) this.#parser.feed(piece);
  }

  close(): void {
    if (this.#streamed || this.broken) return;
    const body = JSON.parse(this.raw);
    if (body.error) this.errors.push(body.error);
    else this.text = this.#client === "openai-chat" ? body.choices[0].message.content : body.content[0].text;
    this.finish = body.choices?.[0].finish_reason ?? body.stop_reason ?? null;
    this.ended = !body.error;
  }

  get #streamed(): boolean {
    return this.headers["content-type"]?.startsWith("text/event-stream") ?? false;
  }

  #event(data: string): void {
    this.last = "other";
    if (data === "[DONE]") return this.#end();
    const event = JSON.parse(data) as Event;
    if (event.error) {
      this.errors.push(event.error);
      this.last = "error";
    } else if (this.#client === "openai-chat") this.#chunk(event);
    else this.#block(event);
  }

  #chunk(event: Event): void {
    for (const choice of (event.choices ?? []) as { delta?: { content?: string }; finish_reason?: string }[]) {
      this.text += choice.delta?.content ?? "";
      this.finish = choice.finish_reason ?? this.finish;
    }
  }

  #block(event: Event): void {
    const delta = (event.delta ?? {}) as { text?: string; stop_reason?: string };
    this.text += delta.text ?? "";
    this.finish = delta.stop_reason ?? this.finish;
    if (event.type === "message_stop") this.#end();
  }

  #end(): void {
    this.ended = true;
    this.last = "end";
  }
}

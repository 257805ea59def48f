import type { CanonicalReply } from "../dialects/dialect.ts";
import type { JsonReply } from "../exchange.ts";

/** A whole answer from a provider: its bytes as they came, and the canonical body when someone asks for it. */
export class UpstreamReply implements JsonReply {
  readonly kind = "json";
  readonly dialect: string;
  #raw: Buffer | undefined;
  #body: CanonicalReply | undefined;
  readonly #read: () => CanonicalReply;

  constructor(dialect: string, raw: Buffer, read: () => CanonicalReply) {
    this.dialect = dialect;
    this.#raw = raw;
    this.#read = read;
  }

  /** Undefined once a plugin has replaced the body. */
  get raw(): Buffer | undefined {
    return this.#raw;
  }

  get body(): CanonicalReply {
    this.#body ??= this.#read();
    return this.#body;
  }

  set body(body: CanonicalReply) {
    this.#body = body;
    this.#raw = undefined;
  }
}

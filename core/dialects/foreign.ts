import type { ChatRequest, Json, JsonObject } from "./canonical.ts";

/** Gathers what the canonical form has no words for, by path in the client's request. */
export class ForeignCollector {
  readonly #fields: [string, Json][] = [];
  readonly #hints: [string, Json][] = [];
  readonly #dialect: string;

  constructor(dialect: string) {
    this.#dialect = dialect;
  }

  field(path: string, value: Json): void {
    this.#fields.push([path, value]);
  }

  hint(path: string, value: Json): void {
    this.#hints.push([path, value]);
  }

  /** The members of `value` beyond `known`; those in `hints` may be left out. Null says nothing. */
  rest(value: JsonObject, path: string, known: ReadonlySet<string>, hints: ReadonlySet<string>): void {
    for (const [name, member] of Object.entries(value)) {
      if (known.has(name) || member === undefined || member === null) continue;
      if (hints.has(name)) this.hint(path + name, member);
      else this.field(path + name, member);
    }
  }

  collected(): Pick<ChatRequest, "foreign"> {
    if (this.#fields.length + this.#hints.length === 0) return {};
    return { foreign: { dialect: this.#dialect, fields: Object.fromEntries(this.#fields), hints: Object.fromEntries(this.#hints) } };
  }
}

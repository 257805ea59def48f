import { type DeserializedData, Keyv, type KeyvStoreAdapter } from "keyv";

/** One key-value store under Keyv, which stamps each entry with its expiry. Values are JSON, keys are prefixed `headgate:`. */
export class JsonStore {
  readonly #keyv: Keyv;

  constructor(adapter: KeyvStoreAdapter) {
    this.#keyv = new Keyv(adapter, {
      namespace: undefined,
      useKeyPrefix: false,
      throwOnErrors: true,
      emitErrors: false,
      // `value` is JSON already: see `set`.
      serialize: ({ value, expires }) => `{"value":${value},"expires":${expires}}`,
      deserialize: parse,
    });
  }

  async get<T>(key: string): Promise<T | undefined> {
    return (await this.#keyv.get<T>(prefixed(key))) ?? undefined;
  }

  /** Throws when the store does. Takes JSON text, so that a value that has none fails at the caller and not as the store. */
  set(key: string, json: string, ttl: number): Promise<boolean> {
    return this.#keyv.set(prefixed(key), json, Math.max(1, Math.ceil(ttl)));
  }

  async delete(key: string): Promise<void> {
    await this.#keyv.delete(prefixed(key));
  }
}

/** JSON text of a value; what JSON cannot say (undefined, a function) is null. Throws on cycles and BigInts. */
export function toJson(value: unknown): string {
  return JSON.stringify(value) ?? "null";
}

function prefixed(key: string): string {
  return `headgate:${key}`;
}

/** What someone else wrote under our prefix is a miss, not a failure of the store. */
function parse<Value>(text: string): DeserializedData<Value> | undefined {
  try {
    const entry: DeserializedData<Value> | null = JSON.parse(text);
    return entry && Number.isFinite(entry.expires) ? entry : undefined;
  } catch {
    return undefined;
  }
}

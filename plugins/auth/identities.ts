import type { Directory } from "./directory.ts";
import { type Identity, identityOfKey, type Terms } from "./identity.ts";
import type { FoundKey } from "./keys.ts";

/** Those who call with a key, by its hash, as the terms of one chain see them. */
export class Identities {
  readonly #directory: Directory;
  readonly #terms: Terms;
  readonly #made = new WeakMap<FoundKey, Identity>();

  constructor(directory: Directory, terms: Terms) {
    this.#directory = directory;
    this.#terms = terms;
  }

  /** As `LookUp.recall`. */
  recall(hash: string): Identity | null | undefined {
    const found = this.#directory.found.recall(hash);
    return found && this.#of(found);
  }

  /** As `LookUp.find`. */
  async find(hash: string): Promise<Identity | undefined> {
    const found = await this.#directory.found.find(hash);
    return found && this.#of(found);
  }

  #of(found: FoundKey): Identity {
    let identity = this.#made.get(found);
    if (!identity) {
      identity = identityOfKey(found.key, found.user, this.#terms, this.#directory.now());
      this.#made.set(found, identity);
    }
    return identity;
  }
}

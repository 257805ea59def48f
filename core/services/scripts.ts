import { createHash } from "node:crypto";
import { token } from "../di.ts";
import type { RedisLink } from "./redis.ts";

/** A Lua script for Redis; made once, with {@link redisScript}. */
export interface RedisScript {
  readonly text: string;
  readonly sha: string;
}

export function redisScript(text: string): RedisScript {
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

/**
 * Atomic steps on state that all instances share. Where no Redis is configured there is none, and a plugin keeps its
 * state in this process.
 */
export interface Scripts {
  /** Whether Redis is configured. */
  readonly shared: boolean;
  /** Whether it was there at the last look. */
  healthy(): boolean;
  /** What the script returns; undefined, after a tenth of a second at most, when Redis is away or says no. */
  run(script: RedisScript, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>;
}

export class RedisScripts implements Scripts {
  readonly shared = true;
  readonly #link: RedisLink;
  /** Scripts that Redis has been sent whole. By their digest it would not know them, and what was asked next would overtake them. */
  readonly #sent = new Set<string>();

  constructor(link: RedisLink) {
    this.#link = link;
  }

  healthy(): boolean {
    return this.#link.healthy();
  }

  run({ text, sha }: RedisScript, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    const options = { keys: [...keys], arguments: args.map(String) };
    return this.#link.ask(undefined, (client) => {
      if (!this.#sent.has(sha)) {
        this.#sent.add(sha);
        return client.eval(text, options);
      }
      return client.evalSha(sha, options).catch((error: Error) => {
        // Redis has been started anew, or told to forget.
        if (error.message.startsWith("NOSCRIPT")) return client.eval(text, options);
        throw error;
      });
    });
  }
}

export const Scripts = token<Scripts>("scripts", () => ({ shared: false, healthy: () => true, run: async () => undefined }));

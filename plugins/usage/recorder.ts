import { hash } from "node:crypto";
import type { Catalogue, Clock, Exchange, Outcome, Target } from "headgate";
import { userAgentOf } from "./columns.ts";
import { promptOf, type Vault } from "./content.ts";
import type { Ledger, OpenCall } from "./ledger.ts";
import type { UsageOptions } from "./options.ts";

/** Bytes to a token, roughly, for a call of which nothing more was heard. */
const BYTES_PER_TOKEN = 4;

export interface RecorderContext {
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly options: Pick<UsageOptions, "content" | "sessionHeader">;
  /** Seals what is kept of prompts and answers; without one none are. */
  readonly vault: Vault | undefined;
}

/** What is known of a call when it begins. */
export interface Begun {
  /** Epoch ms; part of its row's key. */
  readonly createdAt: number;
  /** Where it would go if nobody chose otherwise. */
  readonly asked: Target | undefined;
  readonly open: OpenCall;
}

/** Writes calls down in the ledger: that they have begun, and what became of them. */
export class Recorder {
  readonly #context: RecorderContext;

  constructor(context: RecorderContext) {
    this.#context = context;
  }

  begin(exchange: Exchange): Begun {
    const { clock, ledger } = this.#context;
    const createdAt = clock.now().getTime();
    const { id, caller, dialect, operation, requestedModel } = exchange;
    const size = Number(exchange.client.headers["content-length"] ?? 0);
    const open = ledger.begin(id, {
      created_at: createdAt,
      user_id: caller?.user ?? null,
      key_id: caller?.key ?? null,
      team: caller?.team ?? null,
      plan: caller?.plan ?? null,
      session: this.#sessionOf(exchange),
      dialect,
      operation,
      requested_model: requestedModel.slice(0, 200),
      input_tokens: Math.ceil(size / BYTES_PER_TOKEN),
      user_agent: userAgentOf(exchange),
      ip: exchange.client.ip,
    });
    return { createdAt, asked: exchange.targets[0], open };
  }

  /** `answer`: what was heard of it, where it is to be kept. */
  end(exchange: Exchange, outcome: Outcome, { createdAt, asked, open }: Begun, answer: string | null): void {
    const { catalogue, clock, ledger, options, vault } = this.#context;
    const prompt = options.content === "none" ? undefined : promptOf(exchange);
    const call = {
      exchange,
      outcome,
      createdAt,
      endedAt: clock.monotonic(),
      asked,
      session: this.#sessionOf(exchange),
      estimatedInput: exchange.estimatedInput,
      promptHash: prompt === undefined ? null : hash("sha256", prompt, "base64url"),
      cost: costOf(exchange, catalogue),
      catalogue,
    };
    ledger.end(open, call, vault && prompt !== undefined ? [vault.seal(prompt), answer === null ? null : vault.seal(answer)] : undefined);
  }

  #sessionOf({ client }: Exchange): string | null {
    const session = client.headers[this.#context.options.sessionHeader];
    return typeof session === "string" ? session.slice(0, 200) : null;
  }
}

/** Null as soon as the price of one try is not known. */
function costOf({ attempts }: Exchange, catalogue: Catalogue): number | null {
  let sum = 0;
  for (const { target, usage } of attempts) {
    const cost = usage ? catalogue.cost(target, usage) : 0;
    if (cost === null) return null;
    sum += cost;
  }
  return sum;
}

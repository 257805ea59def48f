import { type Attempt, type Catalogue, type ChatRequest, type Exchange, type Outcome, outputBound, type Tokens } from "headgate";
import type { LedgerAccount } from "./books.ts";
import type { Need } from "./budget.ts";
import { costBound, costOf, countedInput, type Estimate, inputBound, needOf } from "./estimate.ts";
import type { QuotaOptions } from "./options.ts";
import type { UsualOutput } from "./usual-output.ts";

declare module "headgate" {
  interface Exchange {
    /** Input tokens as they were reckoned before the call, by a plugin that did. */
    estimatedInput?: number;
  }
}

export interface MeterParts {
  readonly options: QuotaOptions;
  readonly catalogue: Catalogue;
  readonly tokens: Tokens;
  readonly usual: UsualOutput;
}

/** Turns calls into what they may need, and into what they used. */
export class Meter {
  readonly #parts: MeterParts;

  constructor(parts: MeterParts) {
    this.#parts = parts;
  }

  /** Needs at most, cheaply, or as exactly as the tokenizer can say. Null when money is limited and a price is not known. */
  needs(exchange: Exchange, accounts: readonly LedgerAccount[], exact: boolean): Need<LedgerAccount>[] | null {
    const { catalogue, tokens, options } = this.#parts;
    const estimate: Estimate = {
      inputTokens: exact ? countedInput(exchange, tokens) : inputBound(exchange.wire),
      outputTokens: this.output(exchange),
    };
    exchange.estimatedInput = estimate.inputTokens;
    let cost = 0;
    if (accounts.some(({ unit }) => unit === "money")) {
      const bound = costBound(estimate, exchange.targets, catalogue, options.unknownPrice);
      if (bound === null) return null;
      cost = bound;
    }
    return accounts.map((account) => ({ account, amount: needOf(account.unit, estimate, cost) }));
  }

  /** Output set aside for a call, all choices together. */
  output(exchange: Exchange): number {
    const { catalogue, usual } = this.#parts;
    const { operation, request, requestedModel, targets } = exchange;
    if (operation !== "chat") return 0;
    return outputBound(request as ChatRequest, targets, catalogue, usual.of(targets[0]?.model ?? requestedModel));
  }

  /** What a call took, by unit; `reserved` is what it may have taken at most, for what nobody can tell. */
  used({ attempts, reply }: Exchange, outcome: Outcome, reserved: (account: LedgerAccount) => number): (account: LedgerAccount) => number {
    const { options, catalogue, usual } = this.#parts;
    const worked = attempts.filter(({ usage }) => usage !== undefined);
    for (const { target, usage } of worked) usual.learn(target.model, usage?.outputTokens ?? 0);
    if (worked.length === 0) {
      const cached = attempts.length === 0 && outcome.kind === "complete" && reply !== undefined;
      return cached && options.chargeCacheHits ? reserved : () => 0;
    }
    // What is no amount must neither give anything back nor hide behind what is one.
    if (!worked.every(({ usage }) => isWhole(usage?.inputTokens) && isWhole(usage?.outputTokens))) {
      return (account) => (account.unit === "requests" ? 1 : reserved(account));
    }
    const tokens = worked.reduce((sum, { usage }) => sum + (usage?.inputTokens ?? 0) + (usage?.outputTokens ?? 0), 0);
    return (account) => {
      if (account.unit === "requests") return 1;
      if (account.unit === "tokens") return tokens;
      return worked.reduce((sum, attempt) => sum + this.#cost(attempt, catalogue, () => reserved(account)), 0);
    };
  }

  /** A model chosen after the reservation may have no price; then what was set aside is charged, for it must not be free. */
  #cost({ target, usage }: Attempt, catalogue: Catalogue, otherwise: () => number): number {
    return (usage && costOf(usage, target, catalogue, this.#parts.options.unknownPrice)) ?? otherwise();
  }
}

function isWhole(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

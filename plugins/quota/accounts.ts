import type { Caller } from "headgate";
import type { Limit, Unit, Window } from "./limit-text.ts";
import type { QuotaOptions } from "./options.ts";
import type { Calendar, Span } from "./windows.ts";

type Kind = "user" | "key" | "team" | "everyone";

/** One limit for one subject in one window: what is counted together. */
export interface AccountSpec {
  readonly id: string;
  readonly kind: Kind;
  readonly subject: string;
  readonly unit: Unit;
  readonly window: Window;
  readonly span: Span;
  /** As the config has it. */
  readonly limit: number;
  /** Where in the config: `plans.pro`, `keys`, … */
  readonly rule: string;
}

/** The accounts that a call draws on, one for each limit that applies; of two for the same, the stricter. */
export function accountsOf(caller: Caller | undefined, options: QuotaOptions, calendar: Calendar, at: number): AccountSpec[] {
  const specs = new Map<string, AccountSpec>();
  const add = (kind: Kind, subject: string, rule: string, limits: readonly Limit[]) => {
    for (const { unit, window, amount } of limits) {
      const span = calendar.span(window, at);
      const id = `${kind}:${subject}:${unit}:${window}:${span.start}`;
      const known = specs.get(id);
      if (!known || amount < known.limit) specs.set(id, { id, kind, subject, unit, window, span, limit: amount, rule });
    }
  };
  if (caller) {
    const { user, key, team, plan } = caller;
    const owner = user ?? key;
    const named = Object.hasOwn(options.plans, plan) ? plan : "default";
    if (owner !== null) add(user === null ? "key" : "user", owner, `plans.${named}`, options.plans[named] ?? []);
    if (key !== null) add("key", key, "keys", options.keys);
    if (team !== null) add("team", team, "teams", options.teams);
  }
  add("everyone", "all", "everyone", options.everyone);
  return [...specs.values()];
}

/** What was bought on top for a subject is one account without a window, whatever limits the subject has. */
export function additionalId({ kind, subject, unit }: { readonly kind: string; readonly subject: string; readonly unit: string }): string {
  return `${kind}:${subject}:${unit}:additional`;
}

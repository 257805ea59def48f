/** What an alert can be about; channels choose by it. */
export type Topic = "usage" | "health";

/** `threshold`, `blocked` and `reset` are about what somebody may use, `firing` and `resolved` about the gateway's health. */
export const KINDS = ["threshold", "blocked", "reset", "firing", "resolved", "test"] as const;
export type Kind = (typeof KINDS)[number];

/** Names that a template may use in double braces, and what stands there where a kind of alert has no such thing. */
export const FACTS = [
  "rule",
  "subject",
  "name",
  "percent",
  "used",
  "limit",
  "remaining",
  "unit",
  "window",
  "resets",
  "value",
  "at",
] as const;
export type Facts = Partial<Record<(typeof FACTS)[number], string>>;

/** One thing to be told, as it is kept and as channels get it. */
export interface Alert {
  readonly id: string;
  readonly kind: Kind;
  /** The quota's or the condition's name. */
  readonly rule: string;
  /** Whom or what it is about: a user, team, key or plan, a target, or empty for the gateway as a whole. */
  readonly subject: string;
  /** Id of the user it is about, who is told as well. */
  readonly user: string | null;
  /** Epoch ms. */
  readonly at: number;
  /** Amounts and times in words. */
  readonly facts: Facts;
}

export function topicOf(kind: Kind): Topic {
  return kind === "firing" || kind === "resolved" ? "health" : "usage";
}

const NANO = 1_000_000_000;

/** An amount for people: `12,345 tokens`, `$1.20`. Money comes in nano-dollars. */
export function amount(unit: string, value: number): string {
  if (unit === "money") return `$${(value / NANO).toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
  return `${value.toLocaleString("en-US")} ${unit}`;
}

/** A time for people: `2026-02-01 00:00 UTC`. */
export function moment(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

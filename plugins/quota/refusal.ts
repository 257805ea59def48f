import { GatewayError } from "headgate";
import type { LedgerAccount } from "./books.ts";
import type { Balance } from "./budget.ts";
import { showAmount } from "./limit-text.ts";

const SUBJECTS = { user: "your", key: "this key's", team: "your team's", everyone: "this gateway's" } as const;

/** 429 `insufficient_quota`: what is used, of how much, what was needed, and when it begins anew. */
export function refusal({ kind, unit, window, span }: LedgerAccount, need: number, balance: Balance): GatewayError {
  const { used, held, limit, additional } = balance;
  const resets = span.end === null ? null : new Date(span.end).toISOString();
  const per = window === "once" ? "quota" : `quota for this ${window}`;
  const message =
    `This call may need ${showAmount(unit, need)}, but of ${SUBJECTS[kind]} ${per} of ${showAmount(unit, limit)}, ` +
    `${showAmount(unit, used)} are used and ${showAmount(unit, held)} set aside for calls under way` +
    `${additional > 0 ? `; ${showAmount(unit, additional)} bought on top are left` : ""}.` +
    `${resets ? ` It begins anew at ${resets}.` : " It does not begin anew by itself."}`;
  return new GatewayError("insufficient_quota", {
    message,
    headers: {
      "x-headgate-quota-unit": unit,
      "x-headgate-quota-window": window,
      "x-headgate-quota-limit": String(limit),
      "x-headgate-quota-used": String(used),
      "x-headgate-quota-additional": String(additional),
      "x-headgate-quota-needed": String(need),
      ...(resets && { "x-headgate-quota-reset": resets }),
    },
  });
}

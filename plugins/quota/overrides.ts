import type { Books, LedgerAccount } from "./books.ts";

export function overrideKey({ kind, subject, unit, window }: { kind: string; subject: string; unit: string; window: string }): string {
  return JSON.stringify([kind, subject, unit, window]);
}

/** Limits that replace those of the config, by {@link overrideKey}. */
export async function overridesOf(books: Books, accounts: readonly LedgerAccount[]): Promise<Map<string, number>> {
  const subjects = [...new Set(accounts.map(({ subject }) => subject))];
  const rows = await books.selectFrom("quota_overrides").selectAll().where("subject", "in", subjects).execute();
  return new Map(rows.map((row) => [overrideKey(row), row.amount]));
}

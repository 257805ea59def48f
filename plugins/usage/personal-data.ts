import type { Database, PersonalData } from "headgate";
import type { Vault } from "./content.ts";
import type { Tables } from "./tables.ts";

/** Calls exported at most; the newest. */
const MOST = 10_000;

/** A user's calls. Erased, they still count, but for nobody. */
export function personalData(db: Database, vault: Vault | undefined): PersonalData {
  return {
    async export(userId) {
      const tables = db.reports<Tables>();
      const calls = await tables
        .selectFrom("usage_exchanges")
        .selectAll()
        .where("user_id", "=", userId)
        .orderBy("created_at", "desc")
        .limit(MOST)
        .execute();
      const contents = await tables
        .selectFrom("usage_contents")
        .selectAll()
        .where("id", "in", tables.selectFrom("usage_exchanges").select("id").where("user_id", "=", userId))
        .limit(MOST)
        .execute();
      return {
        usage: calls,
        contents: contents.map(({ id, prompt, answer }) => ({
          id,
          prompt: vault?.open(prompt) ?? null,
          answer: answer === null ? null : (vault?.open(answer) ?? null),
        })),
      };
    },
    async erase(userId) {
      return db.transaction<Tables, number>(async (tables) => {
        const mine = tables.selectFrom("usage_exchanges").select("id").where("user_id", "=", userId);
        await tables.deleteFrom("usage_contents").where("id", "in", mine).execute();
        const days = await tables.selectFrom("usage_days").selectAll().where("user_id", "=", userId).execute();
        await tables.deleteFrom("usage_days").where("user_id", "=", userId).execute();
        for (const row of days) {
          await tables
            .insertInto("usage_days")
            .values({ ...row, user_id: "erased", key_id: "erased" })
            .onConflict((conflict) =>
              conflict.columns(["day", "user_id", "key_id", "team", "provider", "model"]).doUpdateSet((old) => ({
                requests: old("usage_days.requests", "+", row.requests),
                errors: old("usage_days.errors", "+", row.errors),
                cached: old("usage_days.cached", "+", row.cached),
                retried: old("usage_days.retried", "+", row.retried),
                input_tokens: old("usage_days.input_tokens", "+", row.input_tokens),
                output_tokens: old("usage_days.output_tokens", "+", row.output_tokens),
                cached_tokens: old("usage_days.cached_tokens", "+", row.cached_tokens),
                reasoning_tokens: old("usage_days.reasoning_tokens", "+", row.reasoning_tokens),
                cost: old("usage_days.cost", "+", row.cost),
                list_cost: old("usage_days.list_cost", "+", row.list_cost),
                unpriced: old("usage_days.unpriced", "+", row.unpriced),
                total_ms: old("usage_days.total_ms", "+", row.total_ms),
              })),
            )
            .execute();
        }
        const calls = await tables
          .updateTable("usage_exchanges")
          .set({ user_id: "erased", key_id: "erased", ip: null, user_agent: null, session: null, prompt_hash: null } as never)
          .where("user_id", "=", userId)
          .executeTakeFirst();
        return Number(calls.numUpdatedRows);
      });
    },
  };
}

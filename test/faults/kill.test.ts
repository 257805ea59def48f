import { it } from "vitest";
import { expectExact, killAgainAndAgain } from "../support/kill-run.ts";

it("H4: killed 6 times under load, a gateway's ledger and budgets are exact", async () => {
  expectExact(await killAgainAndAgain(6, 4), 6);
}, 120_000);

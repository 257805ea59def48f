import { it } from "vitest";
import { expectUnnoticed, loseDatabase } from "../support/outage-run.ts";
import { hasPostgres } from "../support/postgres.ts";

it.skipIf(!hasPostgres)(
  "A7, A9, A10: PostgreSQL is killed for 6 s under load: known keys go on, nothing is lost or doubled",
  async () => expectUnnoticed(await loseDatabase(6_000)),
  90_000,
);

// A process that writes to the embedded database for as long as it lives; it prints the id of each row once that has been
// acknowledged. The first argument is its data folder.
import { writeSync } from "node:fs";
import { FakeLogger } from "headgate/testing";
import { createDatabase } from "../../core/services/database/open.ts";
import { prepareDatabase } from "../../core/services/database/prepare.ts";
import { WRITER_MIGRATIONS, type WriterTables } from "./database-writer-tables.ts";

const database = createDatabase({ data: process.argv[2] as string, random: { next: Math.random }, logger: new FakeLogger() });
await prepareDatabase(database, WRITER_MIGRATIONS);
const db = database.tables<WriterTables>();
const last = await db
  .selectFrom("rows")
  .select((eb) => eb.fn.max<number | null>("id").as("id"))
  .executeTakeFirstOrThrow();
let id = last.id ?? 0;

/** By turns alone and in pairs that belong together. */
async function write(): Promise<void> {
  for (;;) {
    const [one, other] = [++id, ++id];
    if (one % 4 === 1) {
      await database.transaction<WriterTables, void>(async (tables) => {
        await tables.insertInto("rows").values({ id: one, pair: other }).execute();
        await tables.insertInto("rows").values({ id: other, pair: one }).execute();
      });
    } else {
      await db
        .insertInto("rows")
        .values([one, other].map((each) => ({ id: each, pair: null })))
        .execute();
    }
    // At once, or a killed process would have acknowledged what nobody read.
    writeSync(1, `${one}\n${other}\n`);
  }
}

await Promise.all(Array.from({ length: 8 }, write));

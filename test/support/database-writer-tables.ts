import type { Migrations } from "headgate";

export interface WriterTables {
  rows: { id: number; pair: number | null };
}

/** What database-writer.ts writes to; several steps, so that a kill can fall between them. */
export const WRITER_MIGRATIONS: Migrations = {
  "writer/0001-rows": (db) =>
    db.schema
      .createTable("rows")
      .addColumn("id", "integer", (column) => column.primaryKey())
      .addColumn("pair", "integer")
      .execute(),
  ...Object.fromEntries(
    Array.from({ length: 20 }, (_, index) => [
      `writer/${1_000 + index}-further`,
      (db: Parameters<Migrations[string]>[0]) => db.schema.createTable(`further_${index}`).addColumn("id", "text").execute(),
    ]),
  ),
};

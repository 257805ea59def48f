import type { SelectQueryBuilder } from "kysely";
import { z } from "zod";

/** By which columns a list is ordered, all descending; the last makes the order total. */
export type KeysetOrder = Readonly<Record<string, "integer" | "text">>;

/** The place of a row in its list: its values in the columns of the order. */
type Keyset = readonly (number | string)[];

const NEWEST: KeysetOrder = { created_at: "integer", id: "text" };
const MAX_CURSOR_LENGTH = 500;
// Control characters are in no id, and PostgreSQL takes no NUL.
const TEXT = /^\P{Cc}{0,200}$/u;

/** The query of a list ordered by `order`; for further filters: `pageQuery().extend({ … })`. */
export function pageQuery(order: KeysetOrder = NEWEST) {
  const cursor = z
    .string()
    .max(MAX_CURSOR_LENGTH)
    .transform((text, context): Keyset => {
      const keyset = decode(text, order);
      if (keyset) return keyset;
      context.addIssue({ code: "custom", message: "none of ours", input: text });
      return z.NEVER;
    })
    .meta({ title: "the next_cursor of a page" });
  return z.strictObject({
    limit: z.coerce.number().int().min(1).max(200).default(50),
    cursor: cursor.optional(),
  });
}

/** What a page of a list looks like, for a route's `reply`. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.strictObject({
    object: z.literal("list"),
    data: z.array(item),
    /** For the query's `cursor`; null on the last page. */
    next_cursor: z.string().nullable(),
  });
}

export interface Page<Item> {
  readonly object: "list";
  readonly data: Item[];
  readonly next_cursor: string | null;
}

/**
 * One page of the rows of `select`, newest first, each as `shown` makes it. Rows come and go between two pages without
 * one being skipped or shown twice, because a page begins after a place in the order and not after a number of rows. An
 * index over the order's columns makes every page as cheap as the first.
 */
export async function page<Row, Item>(
  // biome-ignore lint/suspicious/noExplicitAny: of any tables, with the order's columns among them.
  select: SelectQueryBuilder<any, any, Row>,
  query: z.output<ReturnType<typeof pageQuery>>,
  shown: (row: Row) => Item,
  order: KeysetOrder = NEWEST,
): Promise<Page<Item>> {
  const columns = Object.keys(order);
  const { limit, cursor } = query;
  let ordered = select.limit(limit + 1);
  for (const column of columns) ordered = ordered.orderBy(column, "desc");
  if (cursor) {
    ordered = ordered.where((eb) => eb(eb.refTuple(...(columns as [string, string])), "<", eb.tuple(...(cursor as [number, string]))));
  }
  const rows = await ordered.execute();
  const data = rows.slice(0, limit);
  const last = rows.length > limit ? data.at(-1) : undefined;
  return {
    object: "list",
    data: data.map(shown),
    next_cursor: last ? encode(columns.map((column) => last[column as keyof Row] as number | string)) : null,
  };
}

function encode(keyset: Keyset): string {
  return Buffer.from(JSON.stringify(keyset)).toString("base64url");
}

function decode(text: string, order: KeysetOrder): Keyset | undefined {
  const types = Object.values(order);
  let values: unknown;
  try {
    values = JSON.parse(Buffer.from(text, "base64url").toString());
  } catch {
    return undefined;
  }
  if (!Array.isArray(values) || values.length !== types.length) return undefined;
  const fits = (value: unknown, index: number) =>
    types[index] === "integer" ? Number.isSafeInteger(value) : typeof value === "string" && TEXT.test(value);
  return values.every(fits) ? values : undefined;
}

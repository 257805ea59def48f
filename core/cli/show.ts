/** An answer of the API for people: a list as a table, an object line by line, text as it is. */
export function shown(body: unknown): string {
  if (typeof body === "string") return body.trimEnd();
  if (!isObject(body)) return JSON.stringify(body);
  const { data, next_cursor: next } = body;
  if (!Array.isArray(data)) return lines(body, "").join("\n");
  const more = typeof next === "string" ? [`\nmore: --cursor ${next}`] : [];
  return [data.length === 0 ? "(none)" : table(data), ...more].join("\n");
}

function table(rows: readonly unknown[]): string {
  const objects = rows.map((row) => (isObject(row) ? row : { value: row }));
  // A column in which nothing stands only takes room.
  const columns = [...new Set(objects.flatMap(Object.keys))].filter((name) => objects.some((row) => cell(row[name]) !== ""));
  const cells = [columns, ...objects.map((row) => columns.map((name) => cell(row[name])))];
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => row[index]?.length ?? 0)));
  return cells
    .map((row) =>
      row
        .map((text, index) => text.padEnd(widths[index] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function lines(object: Record<string, unknown>, indent: string): string[] {
  const width = Math.max(0, ...Object.keys(object).map((name) => name.length)) + 1;
  return Object.entries(object).flatMap(([name, value]) => {
    if (isObject(value) && Object.keys(value).length > 0) return [`${indent}${name}:`, ...lines(value, `${indent}  `)];
    if (Array.isArray(value) && value.some(isObject)) {
      return [
        `${indent}${name}:`,
        ...table(value)
          .split("\n")
          .map((line) => `${indent}  ${line}`),
      ];
    }
    return [`${indent}${`${name}:`.padEnd(width)} ${cell(value)}`.trimEnd()];
  });
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value) && !value.some(isObject)) return value.join(", ");
  // What comes from outside must not steer the terminal.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out.
  return (typeof value === "object" ? JSON.stringify(value) : String(value)).replace(/[\u0000-\u001f\u007f-\u009f]/g, " ");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

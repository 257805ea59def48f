import { PROVIDERS, type Provider } from "./rig.ts";
import { type Cell, CLIENTS, type Client, cellOf, OWN_DIALECT, type Row } from "./row.ts";
import { CHOICES } from "./rows/choices.ts";
import { CONVERSATION } from "./rows/conversation.ts";
import { OUTPUT } from "./rows/output.ts";
import { REASONING } from "./rows/reasoning.ts";
import { SETTINGS } from "./rows/settings.ts";
import { TOOLS } from "./rows/tools.ts";

/** What every client can ask of every provider, and what becomes of it: the tests run it, the README shows it. */
const MATRIX: readonly Row[] = [...CONVERSATION, ...TOOLS, ...OUTPUT, ...CHOICES, ...REASONING, ...SETTINGS];

export interface Case {
  readonly row: Row;
  readonly client: Client;
  readonly provider: Provider;
  readonly cell: Cell;
}

/** Every cell of the matrix in which something is asked. */
export const CASES: readonly Case[] = MATRIX.flatMap((row) =>
  CLIENTS.flatMap((client) =>
    PROVIDERS.flatMap((provider) => {
      const cell = cellOf(row, client, provider);
      return cell && cell.kind !== "never" ? [{ row, client, provider, cell }] : [];
    }),
  ),
);

const TITLES: Record<Client, string> = {
  openai: "An `openai-chat` client asks",
  anthropic: "An `anthropic-messages` client asks",
};

const KEY = [
  "*as it is*: passed on untouched, unknown fields included. *yes*: translated, there and back.",
  "*400 …*: refused, naming the field. *without …*: left out, and named in `x-headgate-dropped`. –: does not occur.",
].join("\n");

/** The matrix as the README shows it: one table for each client dialect, then what the words in it mean. */
export function renderMatrix(): string {
  const tables = CLIENTS.map((client) => {
    const head = `| ${TITLES[client]} | ${PROVIDERS.map((provider) => `\`${provider}\``).join(" | ")} |\n|---|${"---|".repeat(PROVIDERS.length)}`;
    const lines = MATRIX.filter((row) => row.asks[client]).map(
      (row) => `| ${row.feature} | ${PROVIDERS.map((provider) => renderCell(row, client, provider)).join(" | ")} |`,
    );
    return [head, ...lines].join("\n");
  });
  return [...tables, KEY].join("\n\n");
}

function renderCell(row: Row, client: Client, provider: Provider): string {
  const cell = cellOf(row, client, provider);
  if (!cell || cell.kind === "never") return "–";
  if (cell.kind === "refused") return `400 \`${general(cell.field)}\``;
  if (cell.dropped.length === 0) return provider === OWN_DIALECT[client] ? "as it is" : "yes";
  return `without ${cell.dropped.map((field) => `\`${general(field)}\``).join(", ")}`;
}

/** `messages[0].content[1]` as `messages[].content[]`. */
function general(path: string): string {
  return path.replace(/\[\d+\]/g, "[]");
}

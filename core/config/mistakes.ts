/** One thing wrong with a config, said so that it can be put right without reading code. */
export interface Mistake {
  /** Where: `plugins[2] (metrics).options.path`, `env("NAME")`, or `file:line:column`. */
  readonly path: string;
  readonly expected: string;
  /** What is there instead; never a secret. */
  readonly got: string;
  readonly hint?: string;
}

/** A config that cannot be used, with everything that is wrong with it. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly mistakes: readonly Mistake[];
  /** The file at fault, once known. */
  readonly file: string | undefined;

  constructor(mistakes: readonly Mistake[], file?: string) {
    const count = mistakes.length === 1 ? "1 mistake" : `${mistakes.length} mistakes`;
    super(`${count} in ${file ?? "the gateway's config"}:\n\n${mistakes.map(formatMistake).join("\n\n")}`);
    this.mistakes = mistakes;
    this.file = file;
  }
}

function formatMistake({ path, expected, got, hint }: Mistake): string {
  const lines = [`  ${path}`, `    expected  ${expected}`, `    got       ${got}`];
  if (hint) lines.push(`    hint      ${hint}`);
  return lines.join("\n");
}

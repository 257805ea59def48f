import type { ResolvedConfig } from "../config/check.ts";

/** One line of the drawn chain. */
export interface TreeLine {
  /** Indentation and branch, such as `  └ `. */
  readonly branch: string;
  readonly name: string;
  /** Set where everything below runs once per attempt. */
  readonly reenters: boolean;
}

/** The way of a request as a tree, outermost plugin first, the call to a provider last. */
export function chainTree({ plugins, providers }: ResolvedConfig): TreeLine[] {
  const names = providers.map(({ name }) => name).join(", ");
  const links = [
    ...plugins.map(({ name, definition }) => ({ name, reenters: definition.reenters ?? false })),
    { name: `upstream/call → ${names}`, reenters: false },
  ];
  return links.map((link, depth) => ({ branch: depth === 0 ? "" : `${"  ".repeat(depth - 1)}└ `, ...link }));
}

export const REENTRY = "⟲ everything below runs once per attempt";

/** Questions and answers over a child process's channel. */

export interface Question {
  readonly id: number;
  readonly name: string;
  readonly details: unknown;
}

export type Reply = { readonly id: number } & ({ readonly value: unknown } | { readonly error: string });

/** Answers the parent's questions, and ends the process when the parent is gone. */
export function answerParent(answers: Record<string, (details: never) => unknown>): void {
  process.on("message", async ({ id, name, details }: Question) => {
    let reply: Reply;
    try {
      reply = { id, value: await answers[name]?.(details as never) };
    } catch (error) {
      reply = { id, error: error instanceof Error ? error.message : String(error) };
    }
    process.send?.(reply);
  });
  process.on("disconnect", () => process.exit());
}

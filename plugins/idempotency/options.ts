import { z } from "zod";

export const IdempotencyOptions = z.strictObject({
  /** Minutes for which an answer is kept, counted from its end. */
  keepMinutes: z.int().min(1).max(10_080).default(1_440),
  /** Most answers kept in memory; those kept longest go first. */
  maxAnswers: z.int().min(1).max(1_000_000).default(10_000),
  /** Megabytes that they may take together. An answer of more than a sixteenth of that is not kept. */
  maxMegabytes: z.int().min(1).max(4_096).default(64),
});

export type IdempotencyOptions = z.output<typeof IdempotencyOptions>;

import { secret } from "headgate";
import { z } from "zod";

export const UsageOptions = z
  .strictObject({
    /** Days for which single calls are kept; daily sums stay. 0 keeps them for good. */
    retentionDays: z.int().min(0).max(36_500).default(400),
    /**
     * What is kept of prompts: `hash` tells equal ones apart and nothing else, `none` keeps nothing, `store` keeps prompts
     * and answers, encrypted with `contentKey`. To keep them, streams are read as they pass, which costs the pass-through.
     */
    content: z.enum(["hash", "none", "store"]).default("hash"),
    /** 32 bytes in base64 for AES-256-GCM, such as `openssl rand -base64 32` makes. */
    contentKey: secret().optional(),
    /** Header in which clients name a conversation, so that its calls can be found together. */
    sessionHeader: z
      .string()
      .regex(/^[a-z0-9-]+$/)
      .default("x-session-id"),
  })
  .refine(({ content, contentKey }) => content !== "store" || contentKey !== undefined, {
    message: 'content: "store" needs contentKey, such as env.secret("HEADGATE_CONTENT_KEY")',
    path: ["contentKey"],
  })
  .refine(({ contentKey }) => contentKey === undefined || Buffer.from(contentKey.reveal(), "base64").length === 32, {
    message: "contentKey has to be 32 bytes in base64",
    path: ["contentKey"],
  });

export type UsageOptions = z.output<typeof UsageOptions>;

import { definePlugin, defineProvider } from "headgate";
import type { AnswerDialect, UpstreamCall } from "headgate/testing";
import { z } from "zod";

/** The dialects that providers speak. */
export const UPSTREAMS: readonly AnswerDialect[] = ["openai-chat", "anthropic-messages", "gemini", "cohere"];

/** The dialect that a call to a scripted upstream is in. */
export function dialectOf({ path }: Pick<UpstreamCall, "path">): AnswerDialect {
  if (path.startsWith("/chat/completions")) return "openai-chat";
  if (path.includes(":streamGenerateContent") || path.includes(":generateContent")) return "gemini";
  return path.endsWith("/chat") ? "cohere" : "anthropic-messages";
}

/** A provider that speaks `dialect` at `baseUrl`, under that dialect's name unless another is given; its one model is `m`. */
export function provider(dialect: AnswerDialect, baseUrl: string, name: string = dialect) {
  return defineProvider({
    name,
    options: z.strictObject({}),
    setup: () => ({ name, dialect, baseUrl, headers: () => ({ authorization: "Bearer sk-provider-secret" }), models: [{ id: "m" }] }),
  })();
}

/** Sends a call to its targets in turn until one commits: the smallest failover there can be. */
export const failover = definePlugin({
  name: "failover",
  options: z.strictObject({}),
  reenters: true,
  setup: () => ({
    async handle(exchange, next) {
      let failure: unknown;
      for (const target of exchange.targets) {
        exchange.target = target;
        try {
          return await next();
        } catch (error) {
          failure ??= error;
        }
      }
      throw failure;
    },
  }),
});

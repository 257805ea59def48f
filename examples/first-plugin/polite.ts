import { Clock, definePlugin, GatewayError, isChat } from "headgate";
import { z } from "zod";

/** Refuses prompts without a please, stamps the others, and says in the log how long the polite ones took. */
export const polite = definePlugin({
  name: "polite",
  // Parsed at boot; a typo in the config is reported with the nearest known name.
  options: z.strictObject({
    /** The word to look for, any case. */
    word: z.string().min(1).default("please"),
    /** Response header that carries the time of the request. */
    header: z.string().default("x-polite-at"),
  }),
  // Time comes from a service, so that a test can hold it still.
  inject: { clock: Clock },
  setup: ({ word, header }, { clock }) => ({
    async handle(exchange, next) {
      if (!isChat(exchange)) return next();
      const last = JSON.stringify(exchange.request.messages.at(-1) ?? "");
      if (!last.toLowerCase().includes(word.toLowerCase())) {
        // A refusal: the client reads it in its own dialect, and no provider is asked.
        throw new GatewayError("invalid_request", { message: `Say "${word}".`, param: "messages" });
      }
      exchange.note("polite enough");
      exchange.headers.set(header, clock.now().toISOString());
      // Down the chain, and back once the answer is committed.
      await next();
      exchange.onSettled(({ kind, usage }) => {
        exchange.note(`ended ${kind} after ${usage?.outputTokens ?? 0} tokens`);
      });
    },
  }),
});

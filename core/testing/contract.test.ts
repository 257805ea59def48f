import { Clock, definePlugin, type Exchange, GatewayError, KeyValue, Random } from "headgate";
import { z } from "zod";
import { describePlugin } from "./contract.ts";
import { jsonReply } from "./replies.ts";

const stamp = definePlugin({
  name: "stamp",
  options: z.strictObject({ header: z.string().default("x-stamp") }),
  inject: { clock: Clock },
  setup: ({ header }, { clock }) => ({
    async handle(exchange, next) {
      await next();
      exchange.headers.set(header, clock.now().toISOString());
    },
  }),
});

const again = definePlugin({
  name: "again",
  options: z.strictObject({ tries: z.int().min(1).default(3), waitMs: z.int().default(2_000) }),
  inject: { clock: Clock, random: Random },
  reenters: true,
  setup: ({ tries, waitMs }, { clock, random }) => ({
    async handle(exchange, next) {
      for (let left = tries - 1; ; left--) {
        try {
          return await next();
        } catch (error) {
          if (left === 0 || exchange.signal.aborted) throw error;
          await clock.sleep(waitMs * random.next(), exchange.signal);
        }
      }
    },
  }),
});

const memory = definePlugin({
  name: "memory",
  options: z.strictObject({}),
  inject: { store: KeyValue },
  setup: (_options, { store }) => ({
    async handle(exchange, next) {
      if (await store.get("seen")) exchange.reply = jsonReply({ text: "as before" });
      else {
        await next();
        await store.set("seen", true, 60_000);
      }
    },
  }),
});

const doorman = definePlugin({
  name: "doorman",
  options: z.strictObject({ password: z.string() }),
  setup: ({ password }) => ({
    handle(exchange, next) {
      if (exchange.client.headers.authorization !== password) throw new GatewayError("permission_denied");
      return next();
    },
  }),
});

class Shout {
  async handle(exchange: Exchange, next: () => Promise<void>): Promise<void> {
    await next();
    const { reply } = exchange;
    if (reply?.kind !== "stream") return;
    const { stream } = reply;
    reply.stream = (async function* () {
      yield* stream;
    })();
  }
}
const shout = definePlugin({ name: "shout", options: z.strictObject({}), setup: () => new Shout() });

const heartbeat = definePlugin({
  name: "heartbeat",
  options: z.strictObject({}),
  inject: { clock: Clock },
  setup: (_options, { clock }) => {
    let timer: { cancel(): void } | undefined;
    return {
      start: () => {
        timer = clock.interval(1_000, () => undefined);
      },
      stop: () => timer?.cancel(),
    };
  },
});

describePlugin("stamp", stamp);
describePlugin("stamp", stamp, { options: { header: "x-when" } });
describePlugin("again", again);
describePlugin("memory", memory);
describePlugin("doorman", doorman, { options: { password: "open sesame" }, exchange: { headers: { authorization: "open sesame" } } });
describePlugin("doorman", doorman, { options: { password: "open sesame" } });
describePlugin("shout", shout);
describePlugin("heartbeat", heartbeat);

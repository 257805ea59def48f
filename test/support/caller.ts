import { type Caller, definePlugin } from "headgate";
import { z } from "zod";

/** Stands where auth would: each call is made by whom its `x-test-user` header names, on the plan of `x-test-plan`. */
export const asCaller = definePlugin({
  name: "as-caller",
  options: z.strictObject({}),
  before: ["quota", "rate-limit", "usage"],
  setup: () => {
    const known = new Map<string, Caller>();
    return {
      handle(exchange, next) {
        const { "x-test-user": user = "usr_ann", "x-test-plan": plan = "small" } = exchange.client.headers as Record<string, string>;
        const name = `${user} ${plan}`;
        const caller = known.get(name) ?? { user, key: `key_of_${user}`, team: null, plan, segment: "standard", role: "user", name: user };
        known.set(name, caller);
        exchange.caller = caller;
        return next();
      },
    };
  },
});

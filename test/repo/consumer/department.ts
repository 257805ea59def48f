import { definePlugin, Events, type Exchange, isChat } from "headgate";
import { z } from "zod";

// As core/exchange.ts and core/services/events.ts promise: what a plugin adds is typed in its own folder.
declare module "headgate" {
  interface Exchange {
    department?: string;
  }
  interface EventMap {
    "department.seen": { department: string };
  }
}

function departmentOf({ client }: Exchange, unknown: string): string {
  const header = client.headers["x-department"];
  return typeof header === "string" ? header : unknown;
}

export const department = definePlugin({
  name: "department",
  options: z.strictObject({ unknown: z.string() }),
  inject: { events: Events },
  setup: ({ unknown }, { events }) => {
    events.on("department.seen", ({ department }) => department.toUpperCase());
    // @ts-expect-error There is no such event.
    events.on("department.sene", () => undefined);
    return {
      async handle(exchange, next) {
        exchange.department = departmentOf(exchange, unknown);
        events.emit("department.seen", { department: exchange.department });
        // Still there after a narrowing of the package's own.
        if (isChat(exchange)) exchange.headers.set("x-department", `${exchange.department} of ${exchange.request.messages.length}`);
        await next();
      },
    };
  },
});

// @ts-expect-error The option has no default, so the argument is not optional.
export const without = () => department();

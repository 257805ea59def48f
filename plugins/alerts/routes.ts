import { type ApiRoute, apiRoute, type Clock, checkRank, type Database, type Directory, GatewayError, type Ids, type Role } from "headgate";
import { z } from "zod";
import type { Alert } from "./alert.ts";
import { type Channel, DeliveryError } from "./channels/channel.ts";
import { History, HistoryQuery, historyPage, OwnHistory, withDeliveries } from "./history.ts";
import type { Thresholds } from "./thresholds.ts";

export interface RouteParts {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly directory: Directory;
  readonly channels: readonly Channel[];
  readonly thresholds: Thresholds;
}

const AnyHistoryQuery = HistoryQuery.extend({
  user_id: z
    .string()
    .regex(/^\P{Cc}{1,200}$/u, "one line of text")
    .optional(),
});
const percents = z.array(z.int().min(1).max(100)).max(10);
/** Empty for no word at any percent, null for everybody's thresholds again. */
const ThresholdsChange = z.strictObject({ thresholds: percents.nullable() });
const ThresholdsShape = z.strictObject({ thresholds: z.array(z.int()), own: z.boolean() });
const Tested = z.strictObject({
  channels: z.array(z.strictObject({ channel: z.string(), ok: z.boolean(), error: z.string().optional() })),
});

export function alertRoutes({ db, clock, ids, directory, channels, thresholds }: RouteParts): ApiRoute[] {
  async function roleOf(id: string): Promise<Role> {
    const user = await directory.user(id);
    if (!user) throw new GatewayError("not_found", { message: "There is no such user." });
    return user.role;
  }

  async function thresholdsOf(user: string) {
    const own = await thresholds.own(user);
    return { thresholds: own ?? (await thresholds.of(null)), own: own !== undefined };
  }

  async function test(channel: Channel, alert: Alert) {
    const { name } = channel;
    const recipients = channel.recipients(alert);
    if (recipients.length === 0) return { channel: name, ok: false, error: "there is nobody to send a test to" };
    try {
      for (const recipient of recipients) await channel.deliver({ id: ids.next("alm"), alert, recipient });
      return { channel: name, ok: true };
    } catch (error) {
      return { channel: name, ok: false, error: error instanceof DeliveryError ? error.message : "failed" };
    }
  }

  return [
    apiRoute({
      method: "GET",
      path: "/api/alerts",
      access: "viewer",
      summary: "Alerts that were told, newest first, and what became of their messages",
      command: "alerts list",
      query: AnyHistoryQuery,
      reply: History,
      handle: async ({ query: { user_id, ...query } }) => ({ body: await withDeliveries(db, await historyPage(db, query, user_id)) }),
    }),
    apiRoute({
      method: "POST",
      path: "/api/alerts/test",
      access: "admin",
      summary: "Send a test through every channel, at once and without the outbox",
      command: "alerts test",
      reply: Tested,
      handle: async ({ caller }) => {
        const at = clock.now().getTime();
        const alert: Alert = { id: ids.next("alr"), kind: "test", rule: "test", subject: "", user: caller?.user ?? null, at, facts: {} };
        return { body: { channels: await Promise.all(channels.map((channel) => test(channel, alert))) } };
      },
    }),
    apiRoute({
      method: "GET",
      path: "/api/users/:id/alert-thresholds",
      access: "viewer",
      summary: "At which percents of a quota a user is told",
      reply: ThresholdsShape,
      handle: async ({ params: { id = "" } }) => {
        await roleOf(id);
        return { body: await thresholdsOf(id) };
      },
    }),
    apiRoute({
      method: "PUT",
      path: "/api/users/:id/alert-thresholds",
      access: "manager",
      summary: "Set at which percents of a quota a user is told; null for everybody's",
      body: ThresholdsChange,
      reply: ThresholdsShape,
      handle: async ({ params: { id = "" }, body, caller }) => {
        checkRank(caller, await roleOf(id));
        await thresholds.set(id, body.thresholds);
        return { body: await thresholdsOf(id) };
      },
    }),
    apiRoute({
      method: "GET",
      path: "/api/me/alerts",
      access: "user",
      summary: "Your own alerts, newest first",
      query: HistoryQuery,
      reply: OwnHistory,
      handle: async ({ query, caller }) => ({
        body: caller?.user ? await historyPage(db, query, caller.user) : { object: "list", data: [], next_cursor: null },
      }),
    }),
  ];
}

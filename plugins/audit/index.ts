import { Clock, Database, definePlugin, Events, Ids, Spools } from "headgate";
import { entryOfCall } from "./entries.ts";
import { AuditOptions } from "./options.ts";
import { Recorder } from "./recorder.ts";
import { auditRoutes } from "./routes.ts";
import { migrations } from "./tables.ts";
import { Trail } from "./trail.ts";

interface Shared {
  readonly recorder: Recorder;
  readonly opened: Promise<void>;
  readonly unsubscribe: () => void;
  users: number;
}

/** One recorder for a gateway, however many chains listen through it: a reload must not record anything twice, nor miss it. */
const shared = new WeakMap<Events, Shared>();

/**
 * Keeps an append-only trail of who did what to what, each row chained to the one before it, and of what was refused. Stands
 * before the plugins that refuse, so that it sees what they turn away; and fails open, since nothing it does is awaited.
 */
export const audit = definePlugin({
  name: "audit",
  options: AuditOptions,
  inject: { database: Database, spools: Spools, events: Events, clock: Clock, ids: Ids },
  before: ["auth", "rate-limit", "quota"],
  failMode: "open",
  setup(_options, { database, spools, events, clock, ids }) {
    const trail = new Trail(database);
    let recorder: Recorder | undefined;

    function share(): Shared {
      const recorder = new Recorder({ trail, spools, clock, ids });
      const unsubscribe = events.on("api.handled", (event) => recorder.called(event));
      const made = { recorder, opened: recorder.open(), unsubscribe, users: 0 };
      shared.set(events, made);
      return made;
    }

    async function leave(one: Shared): Promise<void> {
      one.users -= 1;
      if (one.users > 0) return;
      shared.delete(events);
      one.unsubscribe();
      await one.recorder.close();
    }

    return {
      handle(exchange, next) {
        exchange.onSettled((outcome) => recorder?.settled(exchange, outcome));
        return next();
      },
      async start() {
        const one = shared.get(events) ?? share();
        one.users += 1;
        try {
          await one.opened;
        } catch (error) {
          await leave(one);
          throw error;
        }
        recorder = one.recorder;
      },
      async stop() {
        const one = shared.get(events);
        if (recorder && one) await leave(one);
      },
      onCommand: (event) => trail.append([entryOfCall(event, clock.now().getTime(), ids)]),
      migrations,
      routes: auditRoutes(database, trail),
      personalData: {
        export: async (user) => ({ audit: await trail.about(user) }),
        erase: (user) => trail.erase(user),
      },
    };
  },
});

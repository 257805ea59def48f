import {
  type Announcement,
  ApiGuard,
  bind,
  Catalogue,
  Clock,
  Database,
  DataFolder,
  Directory as DirectoryService,
  definePlugin,
  Events,
  HttpClient,
  Ids,
  Logger,
  Metrics,
  PersonalDataRegistry,
} from "headgate";
import { announcementOf, chosenDevelopmentKey } from "./announcement.ts";
import { Authenticator } from "./authenticator.ts";
import { KeptDirectory } from "./directory.ts";
import { Erasures } from "./erasures.ts";
import { Failures } from "./failures.ts";
import { Gate } from "./gate.ts";
import { Identities } from "./identities.ts";
import { developmentIdentity, nameOf } from "./identity.ts";
import { JwtReader } from "./jwt.ts";
import { AuthOptions } from "./options.ts";
import { People } from "./people.ts";
import { personalDataOf } from "./personal-data.ts";
import { watchRotation } from "./rotation-watch.ts";
import { erasureRoutes } from "./routes/erasures.ts";
import { keyRoutes } from "./routes/keys.ts";
import { ownRoutes } from "./routes/me.ts";
import { userRoutes } from "./routes/users.ts";
import { migrations } from "./tables.ts";
import { UseLog } from "./use-log.ts";

/**
 * Says who is calling: by an API key, or by a token of an identity provider. Keeps users and keys, guards the control
 * plane, and fails closed: a key that is known works on while the database is away, an unknown one never does.
 */
export const auth = definePlugin({
  name: "auth",
  options: AuthOptions,
  inject: {
    directory: KeptDirectory,
    database: Database,
    catalogue: Catalogue,
    clock: Clock,
    ids: Ids,
    http: HttpClient,
    events: Events,
    metrics: Metrics,
    logger: Logger,
    folder: DataFolder,
    everything: PersonalDataRegistry,
  },
  before: ["usage", "rate-limit", "idempotency", "quota", "alerts"],
  setup(options, { directory, database, catalogue, clock, ids, http, events, metrics, logger, folder, everything }) {
    const people = new People(directory, clock, options);
    const tokens = options.jwt && new JwtReader(options.jwt, people, http, clock);
    const authenticator = new Authenticator(new Identities(directory, options), new Failures(clock, options.failuresPerMinute), tokens);
    const uses = new UseLog(directory, clock, logger);
    const gate = new Gate({
      authenticator,
      people,
      catalogue,
      clock,
      sources: options.forwardedUser,
      ignored: metrics.counter("headgate_auth_forwarded_ignored_total", {
        help: "Calls whose key is not trusted to name an end user, and did.",
      }),
      onUse: (identity) => uses.add(identity),
    });
    const closers: (() => void)[] = [];
    let announcement: Announcement = {};

    return {
      handle(exchange, next) {
        const waiting = gate.admit(exchange);
        return waiting ? waiting.then(next) : next();
      },
      async start() {
        const development = chosenDevelopmentKey(options.developmentKey, folder);
        if (development !== undefined) authenticator.admit(development, developmentIdentity(options));
        // A gateway whose database is away has to start all the same.
        announcement = announcementOf(development, await directory.keys.any().catch(() => true));
        closers.push(directory.listen(), uses.start(), watchRotation(directory, options, { clock, events, logger }));
      },
      async stop() {
        for (const close of closers.splice(0)) close();
        await uses.flush();
      },
      announce: () => announcement,
      migrations,
      personalData: personalDataOf(directory, options),
      routes: [
        ...userRoutes(directory, options),
        ...keyRoutes(directory, options),
        ...ownRoutes(directory, options),
        ...erasureRoutes(directory, new Erasures(database, ids), everything),
      ],
      services: [
        bind(ApiGuard, gate),
        bind(DirectoryService, {
          async user(id) {
            const user = await directory.users.byId(id);
            return user && { email: user.email, name: nameOf(user), plan: user.plan, role: user.role };
          },
        }),
      ],
    };
  },
});

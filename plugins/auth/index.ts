import {
  ApiGuard,
  bind,
  Catalogue,
  Clock,
  Database,
  Directory as DirectoryToken,
  definePlugin,
  Events,
  HttpClient,
  Ids,
  Logger,
  Metrics,
} from "headgate";
import { Authenticator } from "./authenticator.ts";
import { Directory } from "./directory.ts";
import { Failures } from "./failures.ts";
import { Gate } from "./gate.ts";
import { developmentIdentity, nameOf } from "./identity.ts";
import { JwtReader } from "./jwt.ts";
import { AuthOptions } from "./options.ts";
import { keyRoutes } from "./routes/keys.ts";
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
    database: Database,
    catalogue: Catalogue,
    clock: Clock,
    ids: Ids,
    events: Events,
    http: HttpClient,
    metrics: Metrics,
    logger: Logger,
  },
  before: ["audit", "usage", "rate-limit", "idempotency", "quota", "alerts"],
  setup(options, { database, catalogue, clock, ids, http, metrics, logger }) {
    const directory = new Directory(database, clock, ids, options);
    const tokens = options.jwt && new JwtReader(options.jwt, directory.people, http, clock);
    const authenticator = new Authenticator(directory.identities, new Failures(clock, options.failuresPerMinute), tokens);
    const uses = new UseLog(directory, clock, logger);
    const gate = new Gate({
      authenticator,
      people: directory.people,
      catalogue,
      clock,
      sources: options.forwardedUser,
      ignored: metrics.counter("headgate_auth_forwarded_ignored_total", { help: "End users named by keys that are not trusted to." }),
      onUse: (identity) => uses.add(identity),
    });
    const closers: (() => void)[] = [];

    return {
      handle(exchange, next) {
        const waiting = gate.admit(exchange);
        return waiting ? waiting.then(next) : next();
      },
      start() {
        if (typeof options.developmentKey === "object") authenticator.admit(options.developmentKey.reveal(), developmentIdentity(options));
        closers.push(directory.listen(), uses.start());
      },
      async stop() {
        for (const close of closers.splice(0)) close();
        await uses.flush();
      },
      migrations,
      routes: [...userRoutes(directory, options), ...keyRoutes(directory, options)],
      services: [
        bind(ApiGuard, gate),
        bind(DirectoryToken, {
          async user(id) {
            const user = await directory.users.byId(id);
            return user && { email: user.email, name: nameOf(user) };
          },
        }),
      ],
    };
  },
});

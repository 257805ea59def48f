import type { Link } from "./chain.ts";
import type { ResolvedPlugin } from "./config/check.ts";
import { bind, type Scope } from "./di.ts";
import type { ApiRoute } from "./http/api.ts";
import type { Announcement, Health, PluginHooks } from "./plugin.ts";
import type { Clock } from "./services/clock.ts";
import { Database, type Migrations } from "./services/database.ts";
import { within } from "./services/deadline.ts";
import type { EventMap } from "./services/events.ts";
import { Logger } from "./services/logger.ts";
import { type PersonalData, PersonalDataRegistry, personalDataOf } from "./services/personal-data.ts";

interface Instance {
  readonly name: string;
  readonly definition: ResolvedPlugin["definition"];
  readonly hooks: PluginHooks;
}

/** How long one plugin may take to stop. */
const STOP_MS = 10_000;

/** The plugin instances of one config, each set up in a container of its own; what one provides, those after it see. */
export class PluginSet {
  /** What the core sees: the services with everything that plugins provided. */
  readonly scope: Scope;
  readonly #instances: Instance[] = [];
  readonly #started: Instance[] = [];

  /** Runs every `setup`; throws what one throws, naming the plugin. */
  constructor(plugins: readonly ResolvedPlugin[], base: Scope) {
    let scope = base.child();
    scope.bind(
      bind(
        PersonalDataRegistry,
        personalDataOf(() => this.#personalData()),
      ),
    );
    for (const plugin of plugins) {
      const own = scope.child();
      own.bind(bind(Logger, scope.get(Logger).child({ plugin: plugin.name })));
      const hooks = setUp("plugin", plugin, own);
      this.#instances.push({ name: plugin.name, definition: plugin.definition, hooks });
      if (!hooks.services?.length) continue;
      scope = scope.child();
      for (const binding of hooks.services) scope.bind(binding);
    }
    this.scope = scope;
  }

  links(): Link[] {
    return this.#instances.flatMap(({ name, definition, hooks }) =>
      hooks.handle
        ? [{ name, handle: hooks.handle.bind(hooks), failMode: definition.failMode ?? "closed", reenters: definition.reenters ?? false }]
        : [],
    );
  }

  routes(): ApiRoute[] {
    return this.#instances.flatMap(({ hooks }) => hooks.routes ?? []);
  }

  /** Whether any of them asks for the database. */
  get usesDatabase(): boolean {
    return this.#instances.some(({ definition }) => Object.values(definition.inject ?? {}).some(({ key }) => key === Database.key));
  }

  /** By `<plugin>/<name>`: instances of one plugin share its tables. */
  migrations(): Migrations {
    const all = this.#instances.flatMap(({ name, hooks }) =>
      Object.entries(hooks.migrations ?? {}).map(([step, run]) => [`${name}/${step}`, run] as const),
    );
    return Object.fromEntries(all);
  }

  #personalData(): [name: string, data: PersonalData][] {
    return this.#instances.flatMap(({ name, hooks }) => (hooks.personalData ? [[name, hooks.personalData] as [string, PersonalData]] : []));
  }

  /** Tells each of what a command did. */
  async commanded(event: EventMap["api.handled"]): Promise<void> {
    for (const { hooks } of this.#instances) await hooks.onCommand?.(event);
  }

  announcements(): Announcement[] {
    return this.#instances.flatMap(({ hooks }) => hooks.announce?.() ?? []);
  }

  health(): [name: string, health: Health][] {
    return this.#instances.flatMap(({ name, hooks }) => (hooks.health ? [[name, hooks.health()] as [string, Health]] : []));
  }

  /** In order. Rejects naming the first that fails; `stop` then stops those before it. */
  async start(): Promise<void> {
    for (const instance of this.#instances) {
      try {
        await instance.hooks.start?.();
      } catch (cause) {
        throw new Error(`plugin "${instance.name}" failed to start: ${messageOf(cause)}`, { cause });
      }
      this.#started.push(instance);
    }
  }

  /** In reverse; one that fails or hangs is logged and does not keep the others. */
  async stop(clock: Clock, logger: Logger): Promise<void> {
    for (const { name, hooks } of this.#started.splice(0).reverse()) {
      try {
        const stopping = hooks.stop?.();
        if (stopping) await within(clock, STOP_MS, stopping);
      } catch (error) {
        logger.error({ err: error, plugin: name }, "a plugin failed to stop");
      }
    }
  }
}

interface SetUp<Result> {
  readonly name: string;
  readonly options: unknown;
  readonly definition: {
    readonly inject?: Parameters<Scope["inject"]>[0] | undefined;
    setup(options: never, deps: never): Result;
  };
}

/** Builds one plugin or provider with its services. */
export function setUp<Result>(kind: "plugin" | "provider", entry: SetUp<Result>, scope: Scope): Result {
  try {
    return entry.definition.setup(entry.options as never, scope.inject(entry.definition.inject ?? {}) as never);
  } catch (cause) {
    throw new Error(`${kind} "${entry.name}" could not be set up: ${messageOf(cause)}`, { cause });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

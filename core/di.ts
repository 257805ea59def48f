import "reflect-metadata";
import { type DependencyContainer, instanceCachingFactory, container as rootContainer } from "tsyringe";

/**
 * A key for a service, carrying the service's type: injecting a token where another type is wanted does not compile.
 * Made with {@link token}.
 */
export interface Token<T> {
  readonly name: string;
  readonly key: symbol;
  /** Builds the default, once a gateway, when no plugin provides this service; absent means that a plugin has to. */
  readonly fallback: ((scope: Scope) => T) | undefined;
}

/** One service bound to its token, as a plugin's `services` lists it. Made with {@link bind}. */
export interface Binding<T = unknown> {
  readonly token: Token<T>;
  readonly value: T;
}

/** Names a service. Equal names are the same service, so two copies of this package in one process still agree. */
export function token<T>(name: string, fallback?: (scope: Scope) => T): Token<T> {
  return { name, key: Symbol.for(`headgate:${name}`), fallback };
}

export function bind<T>(key: Token<T>, value: T): Binding<T> {
  return { token: key, value };
}

/** What one plugin, or the core, can see: its own bindings, then those of the scopes around it, then the defaults. */
export class Scope {
  readonly #container: DependencyContainer;
  readonly #root: Scope;

  constructor(parent?: Scope) {
    this.#container = parent ? parent.#container.createChildContainer() : rootContainer.createChildContainer();
    this.#root = parent ? parent.#root : this;
  }

  child(): Scope {
    return new Scope(this);
  }

  bind(binding: Binding): void {
    this.#container.registerInstance(binding.token.key, binding.value);
  }

  /** Throws an Error naming the token when nothing provides it. */
  get<T>(key: Token<T>): T {
    if (this.#container.isRegistered(key.key, true)) return this.#container.resolve<T>(key.key);
    const { fallback } = key;
    if (!fallback) throw new Error(`nothing provides the service "${key.name}"; add a plugin that does, before the one that needs it`);
    const root = this.#root;
    root.#container.register<T>(key.key, { useFactory: instanceCachingFactory(() => fallback(root)) });
    return this.#container.resolve<T>(key.key);
  }

  /** Resolves a whole `inject` record. */
  inject<Tokens extends Record<string, Token<unknown>>>(tokens: Tokens): Injected<Tokens> {
    return Object.fromEntries(Object.entries(tokens).map(([name, key]) => [name, this.get(key)])) as Injected<Tokens>;
  }
}

export type Injected<Tokens extends Record<string, Token<unknown>>> = {
  [Name in keyof Tokens]: Tokens[Name] extends Token<infer T> ? T : never;
};

import type { ChatChunk, ChatRequest, JsonObject, Usage } from "./dialects/canonical.ts";
import type { CanonicalReply, CanonicalRequest, Operation } from "./dialects/dialect.ts";
import type { GatewayError } from "./errors.ts";

/** What a caller may do with the control plane; each may also do what those before it may. */
export const ROLES = ["user", "viewer", "manager", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** Who is asking: set by the plugin that authenticates, read by all that count, limit and record. */
export interface Caller {
  /** Id of the user on whose behalf the call is made; null for a key that belongs to nobody. */
  readonly user: string | null;
  /** Id of the key (never the key itself); null for other credentials. */
  readonly key: string | null;
  readonly team: string | null;
  /** Name of a plan that the config defines, such as `pro`. */
  readonly plan: string;
  /** `standard`, `vip`, `enterprise`, or a team's own. */
  readonly segment: string;
  readonly role: Role;
  /** For people to read: an e-mail address, or the key's name. */
  readonly name: string;
}

/** One place a call may be sent to. */
export interface Target {
  readonly provider: string;
  /** The provider's own model id. */
  readonly model: string;
}

/** The answer, once committed. */
export type Reply = JsonReply | StreamReply;

export interface JsonReply {
  readonly kind: "json";
  /** Assigning another object replaces what the client gets. */
  body: CanonicalReply;
}

export interface StreamReply {
  readonly kind: "stream";
  /** Canonical chunks. Assigning another iterable wraps the stream; leaving it alone lets bytes pass through. */
  stream: AsyncIterable<ChatChunk>;
}

/** One try at one target. */
export interface Attempt {
  /** Unique; the ledger's key. */
  readonly id: string;
  readonly target: Target;
  /** Monotonic ms. */
  readonly startedAt: number;
  /** Monotonic ms of the first content, once there. */
  firstContentAt?: number;
  endedAt?: number;
  /** The provider's HTTP status, once known. */
  status?: number;
  usage?: Usage;
  error?: GatewayError;
}

/** How a call ended, told once to everything registered with `onSettled`. */
export interface Outcome {
  /**
   * `complete`: the client got a whole answer. `cut`: the answer broke off after it had begun. `cancelled`: the client
   * left. `refused`: declined before any provider answered, by policy or as invalid. `failed`: gateway or provider failed
   * before anything was sent.
   */
  readonly kind: "complete" | "cut" | "cancelled" | "refused" | "failed";
  /** HTTP status the client saw (499 when it had left). */
  readonly status: number;
  /** What was used by all attempts together; null when nothing was. */
  readonly usage: Usage | null;
  /** True when any part of `usage` was estimated instead of stated by the provider. */
  readonly estimated: boolean;
  readonly error?: GatewayError;
}

export interface Note {
  readonly plugin: string;
  readonly text: string;
}

/** Time one plugin spent on a call itself, what it awaited from `next()` not counted. */
export interface Timing {
  readonly plugin: string;
  readonly ms: number;
}

/** One call on its way through the chain. Plugins add typed fields by declaration merging: `declare module "headgate" { interface Exchange { … } }`. */
export interface Exchange {
  readonly id: string;
  readonly operation: Operation;
  /** Name of the client's dialect. */
  readonly dialect: string;
  readonly client: {
    readonly ip: string;
    /** Lower-case names, as the client sent them; never forwarded. */
    readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  };
  /** Who is asking; undefined where no plugin authenticates, and before it has. */
  caller: Caller | undefined;
  /** Monotonic ms. */
  readonly startedAt: number;
  /** The client's own body, parsed, never changed. */
  readonly wire: JsonObject;
  /** What the client asked for, canonical; see `ChatRequest` on how to change it. */
  request: CanonicalRequest;
  /** The model as the client named it. */
  readonly requestedModel: string;
  /** Where the call may go, best first. Filled from the model's alias or name; a router may replace it. */
  targets: readonly Target[];
  /** The target of the current attempt. */
  target: Target | undefined;
  readonly attempts: readonly Attempt[];
  reply: Reply | undefined;
  /** Response headers to add; lower-case names. */
  readonly headers: Map<string, string>;
  /** Aborts when the client leaves, the deadline passes or the gateway shuts down; its reason is a GatewayError. */
  readonly signal: AbortSignal;
  /** Which plugin decided what, in order. */
  readonly notes: readonly Note[];
  /** One entry for each turn a plugin has finished, in the order they finished. */
  readonly timings: readonly Timing[];
  note(text: string): void;
  /** Runs once when the call has ended, however it ended; latest registered first. A failure in one does not stop the others. */
  onSettled(callback: (outcome: Outcome) => void | Promise<void>): void;
}

export function isChat(exchange: Exchange): exchange is Exchange & { request: ChatRequest } {
  return exchange.operation === "chat";
}

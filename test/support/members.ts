import { setTimeout } from "node:timers/promises";
import type { Binding, GatewayConfig, Role } from "headgate";
import { simulator } from "headgate/providers";
import { startGateway, type TestGateway } from "headgate/testing";
import { allPlugins } from "./all-plugins.ts";
import type { Answered } from "./error-body.ts";

/** As if from elsewhere: on this machine more is allowed. */
const AWAY = { "x-forwarded-for": "203.0.113.9" };
const DEVELOPMENT_KEY = "hg_dev_of_the_members_0123456789";

// biome-ignore lint/suspicious/noExplicitAny: bodies are looked at by the tests' own expectations
type Body = any;

export interface Answer extends Answered {
  readonly json: Body;
}

/** Somebody with a key. */
export interface Member {
  readonly id: string;
  readonly email: string;
  readonly key: string;
  readonly keyId: string;
}

/** A gateway with all built-in plugins on SQLite, and the people who call it. */
export interface Members {
  readonly url: string;
  readonly port: number;
  readonly gateway: TestGateway;
  /** Calls it from elsewhere, with this key or none. A text is sent as it is. */
  call(method: string, path: string, key?: string, body?: object | string, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  /** The same as the administrator who is on this machine; throws unless it is done. */
  administer(method: string, path: string, body?: object): Promise<Body>;
  /** Somebody new, and a key of the same role. */
  join(user?: { readonly role?: Role; readonly plan?: string }, key?: object): Promise<Member>;
  stop(): Promise<void>;
}

/** Sends again while the machine is so busy that the database does not answer in time, as clients do. */
export async function retrying<Response extends { readonly status: number }>(send: () => Promise<Response>): Promise<Response> {
  for (let turn = 0; turn < 50; turn += 1) {
    const response = await send();
    if (response.status !== 503) return response;
    await setTimeout(100);
  }
  return send();
}

type Options = NonNullable<Parameters<typeof allPlugins>[0]>;

export async function startMembers(
  options: Options = {},
  config: Partial<GatewayConfig> = {},
  services: readonly Binding[] = [],
): Promise<Members> {
  const plugins = allPlugins({ ...options, auth: { failuresPerMinute: 100_000, ...options.auth, developmentKey: DEVELOPMENT_KEY } });
  const gateway = await startGateway(
    { database: "sqlite::memory:", providers: [simulator({ speed: 0 })], ...config, plugins: [plugins, config.plugins] },
    services,
  );
  const send = async (method: string, path: string, body: object | string | undefined, headers: Readonly<Record<string, string>>) => {
    const content = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
    const sent = { ...(content !== undefined && { "content-type": "application/json" }), ...headers };
    const response = await retrying(() =>
      fetch(gateway.url + path, { method, headers: sent, ...(content !== undefined && { body: content }) }),
    );
    const text = await response.text();
    const isJson = response.headers.get("content-type") === "application/json";
    return {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: text,
      json: isJson ? JSON.parse(text) : undefined,
    };
  };
  const administer = async (method: string, path: string, body?: object) => {
    const answer = await send(method, path, body, { authorization: `Bearer ${DEVELOPMENT_KEY}` });
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
    return answer.json;
  };
  let count = 0;
  return {
    url: gateway.url,
    port: Number(new URL(gateway.url).port),
    gateway,
    call: (method, path, key, body, headers = {}) =>
      send(method, path, body, { ...AWAY, ...(key !== undefined && { authorization: `Bearer ${key}` }), ...headers }),
    administer,
    async join({ role = "user", ...user } = {}, key = {}) {
      count += 1;
      const email = `member-${count}@example.com`;
      const { id } = await administer("POST", "/api/users", { email, role, ...user });
      const made = await administer("POST", "/api/keys", { name: `of ${email}`, user_id: id, role, ...key });
      return { id, email, key: made.key, keyId: made.id };
    },
    stop: () => gateway.stop(),
  };
}

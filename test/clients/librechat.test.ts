import { bind, Clock } from "headgate";
import OpenAI, { APIError } from "openai";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Member, type Members, startMembers } from "../support/members.ts";
import { type MailServer, startMailServer } from "../support/smtp.ts";

/** Real ms for a mail to arrive on a machine that is busy. */
const PATIENCE_MS = 15_000;
vi.setConfig({ testTimeout: 60_000 });

const system = (Clock.fallback as () => Clock)();
let ahead = 0;
/** The machine's own clock, but that the wall's can be put forward. */
const clock: Clock = {
  now: () => new Date(system.now().getTime() + ahead),
  monotonic: () => system.monotonic(),
  timer: (ms, callback) => system.timer(ms, callback),
  interval: (ms, callback) => system.interval(ms, callback),
  turn: () => system.turn(),
  sleep: (ms, signal) => system.sleep(ms, signal),
};

let smtp: MailServer;
let gateway: Members;
let application: Member;
let requests = 0;

beforeAll(async () => {
  smtp = await startMailServer();
  gateway = await startMembers(
    {
      quota: { plans: { trial: ["20 requests/month"] } },
      alerts: { email: { url: smtp.url, from: "headgate@example.com" } },
    },
    {},
    [bind(Clock, clock)],
  );
  application = await gateway.join({}, { trusted: true });
});
afterAll(async () => {
  await gateway.stop();
  await smtp.stop();
});

/** A client as an application makes one for each of its users: one key, their headers. */
function client(headers: Record<string, string>, apiKey = application.key): OpenAI {
  const counting: typeof fetch = (input, init) => {
    requests += 1;
    return fetch(input, init);
  };
  return new OpenAI({ apiKey, baseURL: `${gateway.url}/v1`, defaultHeaders: headers, fetch: counting });
}

/** A streamed answer, as for the conversation; the other way, as for its title. */
async function say(to: OpenAI, stream: boolean): Promise<string> {
  const ask = { model: "simulator/sim-small", max_tokens: 10, messages: [{ role: "user" as const, content: "Hi" }] };
  if (!stream) return (await to.chat.completions.create(ask)).choices[0]?.message.content ?? "";
  let text = "";
  for await (const chunk of await to.chat.completions.create({ ...ask, stream })) text += chunk.choices[0]?.delta.content ?? "";
  return text;
}

async function times(count: number, to: OpenAI): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) expect(await say(to, turn % 2 === 0)).not.toBe("");
}

const librechat = (email: string) => client({ "X-User-Email": email });
const found = async (q: string) => (await gateway.administer("GET", `/api/users?q=${encodeURIComponent(q)}`)).data;
const mailsTo = (email: string) => smtp.mails.filter(({ to }) => to[0] === email).map(({ subject }) => subject);
const counted = async (user: string) => (await gateway.administer("GET", `/api/users/${user}/quota`)).limits[0];
const expectCounted = (user: string, used: number) =>
  vi.waitFor(async () => expect(await counted(user)).toMatchObject({ limit: 20, used }), PATIENCE_MS);

describe("an application with a trusted key", () => {
  it("names its user as LibreChat does, and each gets a user of their own at first sight", async () => {
    expect(await found("dora@example.com")).toEqual([]);
    await times(2, librechat("dora@example.com"));
    await times(1, librechat("Dora@Example.com"));
    await times(1, librechat("emil@example.com"));
    const [dora, ...others] = await found("dora@example.com");
    expect(others).toEqual([]);
    expect(dora).toMatchObject({ email: "dora@example.com", role: "user", plan: "trial", status: "active" });
    const [emil] = await found("emil@example.com");
    await expectCounted(dora.id, 3);
    await expectCounted(emil.id, 1);
  });

  it("names its user as Open WebUI does, quoted as in a URL", async () => {
    const headers = {
      "X-OpenWebUI-User-Name": "J%C3%BCrgen%20K",
      "X-OpenWebUI-User-Id": "5f0c-11",
      "X-OpenWebUI-User-Email": "juergen%2Bwork%40example.com",
      "X-OpenWebUI-User-Role": "admin",
    };
    await times(2, client(headers));
    const users = await found("juergen+work@example.com");
    expect(users).toMatchObject([{ email: "juergen+work@example.com", name: "Jürgen K", role: "user" }]);
    await expectCounted(users[0].id, 2);
  });

  it("left a placeholder unfilled: the call is its own, and nobody is made of it", async () => {
    const before = (await gateway.administer("GET", "/api/users?limit=200")).data;
    await times(2, client({ "X-User-Email": "{{LIBRECHAT_USER_EMAIL}}", "X-User-Id": "{{LIBRECHAT_USER_ID}}" }));
    expect((await gateway.administer("GET", "/api/users?limit=200")).data).toHaveLength(before.length);
    expect(await found("LIBRECHAT")).toEqual([]);
    await expectCounted(application.id, 2);
    await vi.waitFor(async () => {
      const { data } = await gateway.administer("GET", `/api/usage?user=${application.id}`);
      expect(data).toHaveLength(2);
    }, PATIENCE_MS);
  });

  it("is told when one of its users is suspended, and goes on for the others", async () => {
    await times(1, librechat("fred@example.com"));
    const [fred] = await found("fred@example.com");
    await gateway.administer("POST", `/api/users/${fred.id}/suspend`, { reason: "unpaid" });
    await expect(say(librechat("fred@example.com"), true)).rejects.toMatchObject({ status: 403, code: "account_suspended" });
    await times(1, librechat("dora@example.com"));
  });
});

describe("a key that is not trusted", () => {
  it("is not believed: the call is its owner's, and whoever it names is neither made nor charged", async () => {
    const owner = await gateway.join();
    await times(2, client({ "X-User-Email": "mallory@example.com", "X-OpenWebUI-User-Id": "9" }, owner.key));
    const [emil] = await found("emil@example.com");
    await times(2, client({ "X-User-Email": "emil@example.com" }, owner.key));
    expect(await found("mallory@example.com")).toEqual([]);
    await expectCounted(owner.id, 4);
    expect(await counted(emil.id)).toMatchObject({ used: 1 });
  });
});

describe("an end user of such an application", () => {
  it("has limits and mails of their own: at 80 %, at 95 %, when blocked, and when all begins anew", async () => {
    const [ann, bob] = [librechat("ann@example.com"), librechat("bob@example.com")];
    await times(1, bob);
    await times(15, ann);
    expect(mailsTo("ann@example.com")).toEqual([]);
    const told = ["80% of your quota is used"];
    await times(1, ann);
    await vi.waitFor(() => expect(mailsTo("ann@example.com")).toEqual(told), PATIENCE_MS);
    await times(3, ann);
    told.push("95% of your quota is used");
    await vi.waitFor(() => expect(mailsTo("ann@example.com")).toEqual(told), PATIENCE_MS);

    await times(1, ann);
    requests = 0;
    for (const stream of [true, false]) {
      const refusal = await say(ann, stream).catch((error: unknown) => error);
      expect(refusal).toBeInstanceOf(APIError);
      expect(refusal).toMatchObject({ status: 429, code: "insufficient_quota", type: "insufficient_quota" });
    }
    // The client heeds that trying again is of no use.
    expect(requests).toBe(2);
    told.push("Your quota is used up");
    await vi.waitFor(() => expect(mailsTo("ann@example.com")).toEqual(told), PATIENCE_MS);

    await times(2, bob);
    const [user] = await found("ann@example.com");
    await vi.waitFor(async () => expect(await counted(user.id)).toMatchObject({ used: 20, limit: 20 }), PATIENCE_MS);

    ahead = new Date(await resetOf(user.id)).getTime() - system.now().getTime() + 60_000;
    await vi.waitFor(() => times(1, ann), PATIENCE_MS);
    await vi.waitFor(() => expect(mailsTo("ann@example.com")).toHaveLength(4), PATIENCE_MS);
    expect(mailsTo("ann@example.com").at(-1)).toBe("Your quota is available again");
    expect(smtp.mails.filter(({ to }) => to[0] !== "ann@example.com")).toEqual([]);
  });

  async function resetOf(user: string): Promise<string> {
    return (await counted(user)).resets_at;
  }
});

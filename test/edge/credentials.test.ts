import { createServer, type Server } from "node:net";
import { redirect, ScriptedUpstream } from "headgate/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { CHAT, chat, type Edge, MESSAGES, rawPost, startEdge } from "../support/edge.ts";
import { expectError, shapeOf } from "../support/error-body.ts";
import { sendRaw } from "../support/raw-http.ts";

let edge: Edge;
let anthropic: Edge;
let before: number;

beforeAll(async () => {
  edge = await startEdge();
  anthropic = await startEdge({ speaks: "anthropic-messages" });
});
afterAll(async () => {
  await edge.stop();
  await anthropic.stop();
});
beforeEach(() => {
  before = edge.upstream.calls.length;
});

const executed = () => edge.upstream.calls.slice(before);
const ask = async (lines: readonly string[], path = CHAT) => {
  const { responses } = await sendRaw(edge.port, rawPost(undefined, path, ...lines), { responses: 1 });
  const [answer] = responses;
  if (!answer) throw new Error("no answer");
  return answer;
};

describe("E9: whose key it is", () => {
  it.each([
    [["authorization: Bearer sk-a", "authorization: Bearer sk-b"]],
    [["authorization: Bearer sk-a", "Authorization: Bearer sk-a"]],
    [["authorization: Bearer sk-a", "authorization: "]],
    [["x-api-key: sk-a", "x-api-key: sk-b"]],
    [["api-key: sk-a", "api-key: sk-b"]],
    [["x-goog-api-key: sk-a", "x-goog-api-key: sk-b"]],
    [["authorization: Bearer sk-a", "x-api-key: sk-b"]],
    [["authorization: Bearer sk-a", "api-key: sk-b"]],
    [["authorization: Bearer sk-a", "x-goog-api-key: sk-b"]],
    [["authorization: Basic c2stYQ==", "x-api-key: sk-a"]],
    [["x-api-key: sk-a", "api-key: sk-b"]],
    [["x-api-key: sk-a", "x-goog-api-key: sk-b"]],
    [["x-api-key: sk-a", "api-key: sk-a", "x-goog-api-key: sk-b"]],
    [["x-api-key: sk-a", "api-key: "]],
  ])("cannot be told from %j, which is refused", async (lines) => {
    for (const path of [CHAT, MESSAGES]) {
      const answer = await ask(lines, path);
      expect(answer.status).toBe(400);
      // Not even what was sent is quoted: no request is given here that would excuse it.
      expectError(answer, shapeOf(path));
    }
    expect(executed()).toHaveLength(0);
  });

  it.each([
    [["authorization: Bearer sk-a", "x-api-key: sk-a"]],
    [["authorization: bearer  sk-a", "x-api-key: sk-a", "api-key: sk-a", "x-goog-api-key: sk-a"]],
    [["authorization: sk-a", "api-key: sk-a"]],
  ])("can be told from %j", async (lines) => {
    expect((await ask(lines)).status).toBe(200);
  });

  it("is not hidden by naming the header as one of this connection's own", async () => {
    expect((await ask(["connection: x-api-key, authorization", "authorization: Bearer sk-a", "x-api-key: sk-b"])).status).toBe(400);
    expect((await ask(["connection: x-api-key, authorization, host, content-length", "x-api-key: sk-a"])).status).toBe(200);
  });

  it.each(["content-type: application/json", "content-encoding: identity", "host: gateway"])("twice %s is refused", async (line) => {
    const answer = await ask([line, line]);
    expect(answer.status).toBe(400);
    expectError(answer, "openai");
  });
});

describe("E9: what a provider sees of the client's headers", () => {
  const lines = [
    "authorization: Bearer sk-client-canary",
    "cookie: session=canary",
    "x-headgate-route: canary",
    "x-headgate-user: canary",
    "x-forwarded-for: 203.0.113.9",
    "x-forwarded-host: canary",
    "x-real-ip: 203.0.113.9",
    "forwarded: for=canary",
    "proxy-authorization: Basic canary",
    "via: 1.1 canary",
    "te: trailers",
    "openai-organization: canary",
    "openai-project: canary",
    "x-stainless-os: canary",
    "x-openwebui-user-email: canary%40example.com",
    "user-agent: canary",
    "origin: http://canary.example",
    "referer: http://canary.example",
    "accept-language: canary",
    "traceparent: 00-canary",
    "connection: keep-alive, x-hop",
    "x-hop: canary",
  ];

  it("is nothing but what the gateway itself has to say", async () => {
    expect((await ask(lines)).status).toBe(200);
    const call = executed()[0];
    expect(Object.keys(call?.headers ?? {}).sort()).toEqual([
      "accept",
      "accept-encoding",
      "authorization",
      "connection",
      "content-length",
      "content-type",
      "host",
    ]);
    expect(call?.rawHeaders.join("\n")).not.toMatch(/canary|203\.0\.113/);
    expect(call?.headers.authorization).toBe("Bearer sk-provider-secret");
    expect(call?.headers.host).toBe(`127.0.0.1:${edge.upstream.port}`);
    expect(call?.path).toBe("/chat/completions");
  });

  it("is Anthropic's own beta header too, where both sides speak Anthropic", async () => {
    const betas = ["anthropic-beta: context-1m", "anthropic-version: 2099-01-01", "anthropic-dangerous-direct-browser-access: true"];
    const { responses } = await sendRaw(anthropic.port, rawPost(undefined, MESSAGES, ...lines, ...betas), { responses: 1 });
    expect(responses[0]?.status).toBe(200);
    const { headers, rawHeaders } = await anthropic.upstream.call(0);
    expect(headers["anthropic-beta"]).toBe("context-1m");
    expect(rawHeaders.join("\n")).not.toMatch(/canary|203\.0\.113|2099|browser-access/);
  });
});

describe("E3: a client that wants to say where its request goes", () => {
  let canary: Server;
  let address: string;
  let connections = 0;

  beforeAll(async () => {
    canary = createServer((socket) => {
      connections += 1;
      socket.destroy();
    });
    await new Promise<void>((resolve) => canary.listen(0, "127.0.0.1", resolve));
    address = `http://127.0.0.1:${(canary.address() as { port: number }).port}/v1`;
  });
  afterAll(() => {
    canary.close();
    expect(connections).toBe(0);
  });

  const fields = (): [string, unknown][] => [
    ["api_base", address],
    ["base_url", address],
    ["custom_host", address],
    ["extra_headers", { "x-api-key": "sk-a" }],
    ["api_key", "sk-a"],
    ["organization", "org-a"],
  ];

  it("in the body is refused, the field being named", async () => {
    for (const [name, value] of fields()) {
      const answer = await edge.post(CHAT, chat({ [name]: value }));
      expect(answer.status).toBe(400);
      expect(expectError(answer, "openai")).toMatchObject({ code: "invalid_request", param: name });
      const other = await edge.post(MESSAGES, chat({ [name]: value }));
      expect(other.status).toBe(400);
      expect(expectError(other, "anthropic").message).toContain(name);
    }
    expect(executed()).toHaveLength(0);
  });

  it("in the metadata is refused, but for an organization, which is a label there", async () => {
    for (const [name, value] of fields().filter(([name]) => name !== "organization")) {
      const answer = await edge.post(CHAT, chat({ metadata: { [name]: value } }));
      expect(expectError(answer, "openai")).toMatchObject({ code: "invalid_request", param: `metadata.${name}` });
    }
    expect(executed()).toHaveLength(0);
    expect((await edge.post(CHAT, chat({ metadata: { organization: "org-a" } }))).status).toBe(200);
  });

  it("for embeddings and token counts, too", async () => {
    const embeddings = await edge.post("/v1/embeddings", { model: "scripted/m", input: "Hi", api_base: address });
    expect(expectError(embeddings, "openai").param).toBe("api_base");
    const count = await edge.post("/v1/messages/count_tokens", chat({ base_url: address }));
    expectError(count, "anthropic");
    expect(executed()).toHaveLength(0);
  });

  it("in the query or in a header is not heard", async () => {
    // A key in the address is refused as such (E12).
    const query = fields().flatMap(([name, value]) => (name === "api_key" ? [] : `${name}=${encodeURIComponent(String(value))}`));
    const headers = fields().map(([name]) => [`x-${name.replaceAll("_", "-")}`, address] as const);
    const more = ["x-headgate-base-url", "x-portkey-custom-host", "x-litellm-api-base", "x-upstream", "x-target-url", "x-proxy-url"];
    const answer = await edge.post(`${CHAT}?${query.join("&")}`, chat(), {
      ...Object.fromEntries(headers.filter(([name]) => name !== "x-api-key")),
      ...Object.fromEntries(more.map((name) => [name, address])),
    });
    expect(answer.status).toBe(200);
    const [call] = executed();
    expect(call?.path).toBe("/chat/completions");
    expect(call?.rawHeaders.join("\n")).not.toContain(address);
  });

  it.each(["api_key=hg_secret", "api-key=x", "access_token=x", "key=hg_secret", "a=1&token=eyJhbGciOi"])(
    "E12: a key in the address is refused, and not repeated (%s)",
    async (query) => {
      const answer = await edge.post(`${CHAT}?${query}`, chat());
      expect(answer.status).toBe(401);
      expect(JSON.stringify(answer)).not.toMatch(/hg_secret|eyJ/);
      expect(executed()).toEqual([]);
    },
  );

  it("as an image is passed on, not fetched", async () => {
    const image = { type: "image_url", image_url: { url: `${address}/image.png` } };
    expect((await edge.post(CHAT, chat({ messages: [{ role: "user", content: [image] }] }))).status).toBe(200);
    expect(executed()[0]?.body).toContain(address);
  });
});

describe("E5: a provider that sends the gateway elsewhere", () => {
  let elsewhere: ScriptedUpstream;
  beforeAll(async () => {
    elsewhere = await ScriptedUpstream.start();
  });
  afterAll(() => elsewhere.close());

  it.each([300, 301, 302, 303, 304, 307, 308])("with %i is not followed, with neither key nor body", async (status) => {
    for (const [path, stream] of [
      [CHAT, false],
      [CHAT, true],
      [MESSAGES, false],
      [MESSAGES, true],
    ] as const) {
      edge.upstream.next(redirect(`${elsewhere.url}/v1/chat/completions`, status));
      const answer = await edge.post(path, chat({ stream }));
      expect(answer.status).toBe(502);
      expectError(answer, shapeOf(path));
      expect(JSON.stringify(answer)).not.toContain(String(elsewhere.port));
    }
    expect(elsewhere.accepted).toBe(0);
  });
});

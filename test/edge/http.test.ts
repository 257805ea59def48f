import { gate, sse } from "headgate/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { CHAT, chat, type Edge, MESSAGES, rawPost, startEdge } from "../support/edge.ts";
import { expectError, shapeOf } from "../support/error-body.ts";
import { open, readRaw, sendRaw } from "../support/raw-http.ts";
import { SMUGGLING, UNUSUAL } from "./smuggling.ts";

let edge: Edge;
/** Calls that reached the provider before the test. */
let before: number;

beforeAll(async () => {
  edge = await startEdge();
});
afterAll(() => edge.stop());
beforeEach(() => {
  before = edge.upstream.calls.length;
});

const executed = () => edge.upstream.calls.slice(before);
const latin1 = (text: string) => Buffer.from(text, "latin1");

describe("F1: a request that could be read in two ways", () => {
  it.each(Object.entries(SMUGGLING))(
    "%s: is refused with its connection, and neither it nor what follows is executed",
    async (_, bytes) => {
      const { responses, closed } = await sendRaw(edge.port, latin1(bytes + rawPost()));
      expect(closed).toBe(true);
      expect(responses).toHaveLength(1);
      const [answer] = responses;
      if (!answer) throw new Error("no answer");
      expect([400, 413, 431]).toContain(answer.status);
      expect(answer.headers.connection).toBe("close");
      expectError(answer, "openai");
      expect(executed()).toHaveLength(0);
    },
  );

  it.each(Object.entries(UNUSUAL))("%s: has one reading, and is served by it", async (_, bytes) => {
    const { responses } = await sendRaw(edge.port, latin1(bytes + rawPost()), { responses: 2 });
    expect(responses.map(({ status }) => status)).toEqual([200, 200]);
    const calls = executed();
    expect(calls.map(({ json }) => json)).toEqual([
      { ...chat(), model: "m" },
      { ...chat(), model: "m" },
    ]);
    for (const { headers } of calls) expect(headers.authorization).toBe("Bearer sk-provider-secret");
  });

  it("arrives byte by byte: is refused all the same", async () => {
    for (const name of ["a length and a coding", "identity, then chunked", "two hosts", "a chunk size that is no number"]) {
      const socket = await open(edge.port);
      const answer = readRaw(socket);
      for (const byte of latin1(`${SMUGGLING[name]}${rawPost()}`)) if (socket.writable) socket.write(Buffer.of(byte));
      const { responses, closed } = await answer;
      expect([name, closed, responses.map(({ status }) => status)]).toEqual([name, true, [400]]);
    }
    expect(executed()).toHaveLength(0);
  });

  it("asks for a tunnel: gets none", async () => {
    const { responses, closed } = await sendRaw(edge.port, `CONNECT other:443 HTTP/1.1\r\nhost: other:443\r\n\r\n${rawPost()}`);
    expect({ responses, closed }).toEqual({ responses: [], closed: true });
    expect(executed()).toHaveLength(0);
  });

  it("asks for another protocol: is answered in this one", async () => {
    const upgrade = rawPost(undefined, CHAT, "connection: upgrade", "upgrade: websocket");
    const { responses } = await sendRaw(edge.port, upgrade, { responses: 1 });
    expect(responses[0]?.status).toBe(200);
  });

  it("speaks the dialect of the path when the body is what cannot be read", async () => {
    const bytes = SMUGGLING["a chunk size that is no number"]?.replace(CHAT, MESSAGES) ?? "";
    const { responses } = await sendRaw(edge.port, bytes);
    expect(expectError(responses[0] as never, "anthropic").message).toMatch(/not valid HTTP/);
  });
});

describe("pipelined requests", () => {
  it("are answered in order, a thousand at once", async () => {
    const paths = Array.from({ length: 1_000 }, (_, index) => (index % 2 ? "/health/live" : `/nothing/${index}`));
    const bytes = paths.map((path) => `GET ${path} HTTP/1.1\r\nhost: gateway\r\n\r\n`).join("");
    const { responses } = await sendRaw(edge.port, bytes, { responses: 1_000, wait: 10_000 });
    expect(responses.map(({ status }) => status)).toEqual(paths.map((path) => (path === "/health/live" ? 200 : 404)));
  });

  it("never leave their errors inside an answer under way", async () => {
    const hold = gate();
    edge.upstream.next(sse(['data: {"choices":[{"index":0,"delta":{"content":"One"}}]}\n\n', hold]));
    const socket = await open(edge.port);
    let seen = "";
    const begun = new Promise<void>((resolve) =>
      socket.on("data", (piece) => {
        seen += piece;
        if (seen.includes("One")) resolve();
      }),
    );
    const closed = new Promise<void>((resolve) => void socket.once("close", () => resolve()));
    socket.write(rawPost(JSON.stringify(chat({ stream: true }))));
    await begun;
    socket.write("nonsense\r\n\r\n");
    await closed;
    expect(seen).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(seen.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(seen).not.toContain("invalid_http");
    // Not a whole answer: no last chunk.
    expect(seen).not.toMatch(/\r\n0\r\n\r\n$/);
    expect(await (await edge.upstream.call(before)).closed).toBe("gone");
    hold.open();
  });
});

describe("E10: another spelling of a path", () => {
  it.each([
    ["POST", "http://gateway/v1/chat/completions"],
    ["POST", "http://evil.example/v1/chat/completions"],
    ["POST", "//v1/chat/completions"],
    ["POST", "/v1//chat/completions"],
    ["POST", "/v1/chat/completions/"],
    ["POST", "/v1/./chat/completions"],
    ["POST", "/v1/chat/../chat/completions"],
    ["POST", "/v1/models/../chat/completions"],
    ["POST", "/v1/%2e%2e/v1/chat/completions"],
    ["POST", "/v1/chat%2fcompletions"],
    ["POST", "/v1/chat/c%6fmpletions"],
    ["POST", "/v1/chat/completions;x=1"],
    ["POST", "/v1/chat/completions%00"],
    ["POST", "/v1\\chat\\completions"],
    ["POST", "/V1/chat/completions"],
    ["POST", "/v1/Chat/Completions"],
    ["POST", "/v1/chat/completions/x"],
    ["POST", "/v1/chat/completions#x"],
    ["POST", "*"],
    ["POST", "v1/chat/completions"],
    ["POST", "/v1/messages/../chat/completions"],
    ["GET", "/v1/../metrics"],
    ["GET", "/metrics/"],
    ["GET", "//metrics"],
  ])("%s %s is not found or refused, and nothing is done", async (method, target) => {
    const { responses } = await sendRaw(edge.port, rawPost(undefined, target).replace("POST", method), { responses: 1 });
    const [answer] = responses;
    expect([400, 404]).toContain(answer?.status);
    if (answer) expectError(answer, shapeOf(target), target);
    expect(executed()).toHaveLength(0);
  });

  it("in a header, or in the query, changes nothing", async () => {
    const steering = [
      "x-original-url: /v1/models",
      "x-rewrite-url: /v1/models",
      "x-http-method-override: GET",
      "x-method-override: DELETE",
      "x-forwarded-host: evil.example",
      "x-forwarded-proto: https",
      "x-forwarded-prefix: /v1/models",
      "forwarded: host=evil.example",
    ];
    const { responses } = await sendRaw(edge.port, rawPost(undefined, `${CHAT}?_method=GET&path=/v1/models`, ...steering), {
      responses: 1,
    });
    expect(responses[0]?.status).toBe(200);
    expect(responses[0]?.body).toContain("Hello to you");
    expect(JSON.stringify(responses[0])).not.toContain("evil.example");
  });

  it.each(["a@evil", "a b", "evil.example/x", "a:b", "a:123456", "[::1", "a,b", "é", "", "a?b", "a#b", "<a>"])(
    "a Host of %j is refused",
    async (host) => {
      const { responses, closed } = await sendRaw(edge.port, latin1(rawPost().replace("host: gateway", `host: ${host}`)));
      expect(responses.map(({ status }) => status)).toEqual([400]);
      if (responses[0]) expectError(responses[0], "openai");
      expect(closed).toBe(true);
      expect(executed()).toHaveLength(0);
    },
  );

  it("no Host at all is refused", async () => {
    const { responses, closed } = await sendRaw(edge.port, rawPost().replace("host: gateway\r\n", ""));
    expect(responses.map(({ status }) => status)).toEqual([400]);
    if (responses[0]) expect(expectError(responses[0], "openai").code).toBe("invalid_header");
    expect(closed).toBe(true);
    expect(executed()).toHaveLength(0);
  });

  it("no Host at all is refused in the very first request too", async () => {
    const fresh = await startEdge();
    try {
      const { responses } = await sendRaw(fresh.port, rawPost().replace("host: gateway\r\n", ""));
      expect(responses.map(({ status }) => status)).toEqual([400]);
    } finally {
      await fresh.stop();
    }
  });

  it.each(["gateway", "gateway:8787", "10.0.0.1:1", "[::1]:8787", "sub.example.com"])("a Host of %j is as good as any", async (host) => {
    const { responses } = await sendRaw(edge.port, rawPost().replace("host: gateway", `host: ${host}`), { responses: 1 });
    expect(responses[0]?.status).toBe(200);
  });

  it("a Host that is not on the list of allowed ones is misdirected", async () => {
    const strict = await startEdge({ server: { allowedHosts: ["gateway.example", "127.0.0.1"] } });
    try {
      const ask = async (host: string) => {
        const { responses } = await sendRaw(strict.port, rawPost().replace("host: gateway", `host: ${host}`), { responses: 1 });
        if (responses[0]?.status !== 200) expectError(responses[0] as never, "openai");
        return responses[0]?.status;
      };
      expect(await ask("gateway.example")).toBe(200);
      expect(await ask("GATEWAY.example:1234")).toBe(200);
      expect(await ask("evil.example")).toBe(421);
      expect(await ask("gateway.example.evil.example")).toBe(421);
    } finally {
      await strict.stop();
    }
  });
});

describe("a method that a path does not take", () => {
  it.each(["PUT", "DELETE", "PATCH", "GET", "PROPFIND", "TRACE"])("%s is refused, and told which one it takes", async (method) => {
    const { responses } = await sendRaw(edge.port, `${method} ${MESSAGES} HTTP/1.1\r\nhost: gateway\r\n\r\n`, { responses: 1 });
    expect(responses[0]?.status).toBe(405);
    expect(responses[0]?.headers.allow).toBe("POST");
    expectError(responses[0] as never, "anthropic");
  });

  it("OPTIONS is told, on a path that there is", async () => {
    const ask = async (path: string) =>
      (await sendRaw(edge.port, `OPTIONS ${path} HTTP/1.1\r\nhost: gateway\r\n\r\n`, { responses: 1 })).responses[0];
    expect(await ask(CHAT)).toMatchObject({ status: 200, headers: { allow: "POST" }, body: "" });
    const nothing = await ask("/nothing");
    expect(nothing?.status).toBe(404);
    expectError(nothing as never, "openai");
  });
});

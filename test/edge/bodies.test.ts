import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { CHAT, chat, type Edge, MESSAGES, MODEL, rawPost, startEdge } from "../support/edge.ts";
import { type Answered, expectError, shapeOf } from "../support/error-body.ts";
import { sendRaw } from "../support/raw-http.ts";

let edge: Edge;
let before: number;

beforeAll(async () => {
  edge = await startEdge();
});
afterAll(() => edge.stop());
beforeEach(() => {
  before = edge.upstream.calls.length;
});
afterEach(() => {
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});

const text = JSON.stringify(chat());
/** E8: what templating languages would evaluate. */
const TEMPLATE = `{{7*7}} ${"$"}{7*7} <%= 7*7 %>`;
const executed = () => edge.upstream.calls.slice(before);
const sent = () => executed()[0]?.json as Record<string, unknown> | undefined;
const user = (content: string) => `{"model":"${MODEL}","max_tokens":9,"messages":[{"role":"user","content":${content}}]}`;

function expectRefused(answer: Answered, status: number, code: string): void {
  expect(answer.status, answer.body).toBe(status);
  expect(expectError(answer, "openai").code).toBe(code);
  expect(executed()).toHaveLength(0);
}

describe("F3: a compressed body", () => {
  it.each([
    ["gzip", gzipSync(text)],
    ["GZIP", gzipSync(text)],
    ["deflate", deflateSync(text)],
    ["br", brotliCompressSync(text)],
    ["identity", Buffer.from(text)],
    ["", Buffer.from(text)],
  ])("in %j is read", async (encoding, bytes) => {
    expect((await edge.post(CHAT, bytes, { "content-encoding": encoding })).status).toBe(200);
    expect(sent()).toEqual({ ...chat(), model: "m" });
  });

  it.each([
    ["zstd", zstdCompressSync(text)],
    ["compress", Buffer.from(text)],
    ["gzip, gzip", gzipSync(gzipSync(text))],
    ["gzip, br", brotliCompressSync(gzipSync(text))],
    ["identity, gzip", gzipSync(text)],
    [Array(1_000).fill("gzip").join(","), gzipSync(text)],
    ["__proto__", Buffer.from(text)],
  ])("in %.20s is refused unread", async (encoding, bytes) => {
    expectRefused(await edge.post(CHAT, bytes, { "content-encoding": encoding }), 415, "unsupported_media_type");
  });

  it.each([
    ["gzip that is none", "gzip", Buffer.from(text)],
    ["gzip that is cut", "gzip", gzipSync(text).subarray(0, -9)],
    ["gzip with a wrong checksum", "gzip", flip(gzipSync(text), -6)],
    ["gzip with a flipped bit", "gzip", flip(gzipSync(text), 20)],
    ["deflate that is none", "deflate", Buffer.from(text)],
    ["deflate that is cut", "deflate", deflateSync(text).subarray(0, -9)],
    ["brotli that is none", "br", Buffer.from(text)],
    ["brotli that is cut", "br", brotliCompressSync(text).subarray(0, -9)],
    ["gzip that is brotli", "gzip", brotliCompressSync(text)],
  ])("of %s is no valid request", async (_, encoding, bytes) => {
    expectRefused(await edge.post(CHAT, bytes, { "content-encoding": encoding }), 400, "invalid_encoding");
  });

  it("that claims to be none is no valid request", async () => {
    expectRefused(await edge.post(CHAT, gzipSync(text), { "content-encoding": "identity" }), 400, "invalid_json");
  });

  it.each([
    ["gzip", gzipSync],
    ["deflate", deflateSync],
    ["br", brotliCompressSync],
  ])("in %s that unfolds beyond the limit is too large, at the limit it is not", async (encoding, compress) => {
    const limit = 4 * 1024 * 1024;
    const sized = (size: number) => user(`"${"x".repeat(size - user('""').length)}"`);
    expect((await edge.post(CHAT, compress(sized(limit)), { "content-encoding": encoding })).status).toBe(200);
    before = edge.upstream.calls.length;
    expectRefused(await edge.post(CHAT, compress(sized(limit + 1)), { "content-encoding": encoding }), 413, "body_too_large");
  });
});

describe("F4: JSON that is nested deep", () => {
  const places: [string, (value: string) => string, number][] = [
    ["at the top", (value) => `{"model":"${MODEL}","messages":[{"role":"user","content":"Hi"}],"x":${value}}`, 1],
    ["in metadata", (value) => `{"model":"${MODEL}","messages":[{"role":"user","content":"Hi"}],"metadata":{"x":${value}}}`, 2],
    [
      "in a tool's schema",
      (value) =>
        `{"model":"${MODEL}","messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"x":${value}}}}]}`,
      5,
    ],
  ];
  const shapes: [string, (depth: number) => string][] = [
    ["arrays", (depth) => "[".repeat(depth) + "]".repeat(depth)],
    ["objects", (depth) => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`],
    ["both", (depth) => `${'[{"a":'.repeat(depth / 2)}1${"}]".repeat(depth / 2)}`],
  ];
  describe.each(places)("%s", (_, place, outside) => {
    it.each(shapes)("as %s is read up to 64 levels and refused beyond", async (_, nest) => {
      const even = (64 - outside) % 2 === 0 ? 64 : 63;
      expect((await edge.post(CHAT, place(nest(even - outside)))).status).toBe(200);
      before = edge.upstream.calls.length;
      for (const depth of [66, 1_000, 5_000, 200_000]) {
        expectRefused(await edge.post(CHAT, place(nest(depth - outside + ((depth - outside) % 2)))), 400, "json_too_deep");
      }
    });
  });

  it("counts the object itself: 64 pass, 65 do not", async () => {
    const nested = (depth: number) => places[0]?.[1]("[".repeat(depth - 1) + "]".repeat(depth - 1)) ?? "";
    expect((await edge.post(CHAT, nested(64))).status).toBe(200);
    before = edge.upstream.calls.length;
    expectRefused(await edge.post(CHAT, nested(65)), 400, "json_too_deep");
  });

  it.each(["[", "[[", "{", '{"a":', '{"a":{"a":'])("%j without an end is no JSON, however often", async (open) => {
    expectRefused(await edge.post(CHAT, open.repeat(100_000)), 400, "invalid_json");
  });
});

describe("F5: names that objects have of themselves", () => {
  const evil =
    '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"toString":1,"hasOwnProperty":1,"valueOf":null,"then":1}';
  const places: [string, string][] = [
    [CHAT, user('"Hi"').replace(/}$/, `,${evil.slice(1)}`)],
    [CHAT, user('"Hi"').replace(/}$/, `,"metadata":${evil}}`)],
    [CHAT, user('"Hi"').replace('"role"', `${evil.slice(1, -1)},"role"`)],
    [CHAT, user(`[{"type":"text","text":"Hi",${evil.slice(1)}]`)],
    [CHAT, user('"Hi"').replace(/}$/, `,"tools":[{"type":"function","function":{"name":"f","parameters":${evil}}}]}`)],
    [CHAT, user('"Hi"').replace(/}$/, `,"response_format":{"type":"json_schema","json_schema":{"name":"s","schema":${evil}}}}`)],
    [CHAT, user('"Hi"').replace(/}$/, `,"stream_options":${evil}}`)],
    [CHAT, user('"Hi"').replace(/}$/, `,"logit_bias":${evil}}`)],
    [MESSAGES, user('"Hi"').replace(/}$/, `,${evil.slice(1)}`)],
    [MESSAGES, user('"Hi"').replace(/}$/, `,"metadata":${evil}}`)],
    [MESSAGES, user(`[{"type":"text","text":"Hi",${evil.slice(1)}]`)],
    [MESSAGES, user('"Hi"').replace(/}$/, `,"tools":[{"name":"f","input_schema":${evil}}]}`)],
    [MESSAGES, user('"Hi"').replace(/}$/, `,"thinking":${evil}}`)],
    [MESSAGES, user('"Hi"').replace(/}$/, `,"output_config":${evil}}`)],
    [MESSAGES, user('"Hi"').replace('"role"', `${evil.slice(1, -1)},"role"`)],
  ];
  it.each(places)("%s %s: are refused, or are names like any other", async (path, body) => {
    const answer = await edge.post(path, body);
    if (answer.status !== 200) {
      expect(answer.status, answer.body).toBe(400);
      expectError(answer, shapeOf(path), body);
    }
    expect(sent()?.polluted).toBeUndefined();
  });

  it.each([
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    "__proto__/m",
    "constructor/prototype",
    "scripted/",
    "scripted/__proto__",
  ])("as the model, %s is just one that there is not", async (model) => {
    for (const path of [CHAT, MESSAGES]) {
      const answer = await edge.post(path, chat({ model }));
      expect(answer.status, answer.body).toBe(404);
      expectError(answer, shapeOf(path), model);
    }
    expect(executed()).toHaveLength(0);
  });

  it("as roles, kinds and efforts they are not known", async () => {
    for (const name of ["__proto__", "constructor", "toString"]) {
      expectRefused(await edge.post(CHAT, chat({ messages: [{ role: name, content: "Hi" }] })), 400, "invalid_request");
      expectRefused(await edge.post(CHAT, chat({ tool_choice: name })), 400, "invalid_request");
      const effort = await edge.post(MESSAGES, chat({ output_config: { effort: name } }));
      expect([200, 400]).toContain(effort.status);
      before = edge.upstream.calls.length;
    }
  });

  it("as headers they change nothing", async () => {
    const { responses } = await sendRaw(edge.port, rawPost(undefined, CHAT, "__proto__: x", "constructor: y", "__proto__: z"), {
      responses: 1,
    });
    expect(responses[0]?.status).toBe(200);
  });
});

describe("F8: another kind of body", () => {
  const dashes = (count: number) => `multipart/form-data; boundary=${"-".repeat(count)}x`;
  it.each([
    "multipart/form-data; boundary=x",
    dashes(70),
    dashes(10_000),
    "application/x-www-form-urlencoded",
    "application/xml",
    "text/xml",
    "text/plain",
    "text/plain; application/json",
    "application/jsonp",
    "application/json, text/plain",
    "application/json; charset=utf-16",
    "application/json; charset=utf-7",
    `application/json${" ".repeat(10_000)}x`,
    `application/json;${" ".repeat(10_000)}x`,
    "",
  ])("%.40s is refused at once, before it has come", async (type) => {
    const head = `POST ${CHAT} HTTP/1.1\r\nhost: gateway\r\ncontent-type: ${type}\r\ncontent-length: 1000000\r\n\r\n`;
    const from = performance.now();
    const { responses } = await sendRaw(edge.port, head, { responses: 1 });
    expect(performance.now() - from).toBeLessThan(500);
    expectRefused(responses[0] as Answered, 415, "unsupported_media_type");
  });

  it("with a boundary of 100,000 dashes does not get past the headers", async () => {
    const head = `POST ${CHAT} HTTP/1.1\r\nhost: gateway\r\ncontent-type: ${dashes(100_000)}\r\ncontent-length: 1000000\r\n\r\n`;
    const { responses } = await sendRaw(edge.port, head);
    expectRefused(responses[0] as Answered, 431, "headers_too_large");
  });

  it.each(["application/json", "APPLICATION/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"'])(
    "%s is JSON",
    async (type) => {
      expect((await edge.post(CHAT, text, { "content-type": type })).status).toBe(200);
    },
  );
});

describe("F12: text", () => {
  it.each<[string, readonly number[]]>([
    ["a byte that is never one", [0xff]],
    ["a continuation without a beginning", [0x80]],
    ["an overlong slash", [0xc0, 0xaf]],
    ["a beginning without a continuation", [0xe2, 0x82]],
    ["a surrogate", [0xed, 0xa0, 0x80]],
    ["a character beyond Unicode", [0xf4, 0x90, 0x80, 0x80]],
    ["Latin-1", [0xe9]],
  ])("with %s is not UTF-8, and is refused", async (_, bytes) => {
    const body = Buffer.concat([Buffer.from(user('"').slice(0, -3)), Buffer.from(bytes), Buffer.from('"}]}')]);
    expectRefused(await edge.post(CHAT, body), 400, "invalid_json");
  });

  it.each([
    ["a lone surrogate", "\\ud800", "\ud800"],
    ["surrogates in the wrong order", "\\ude00\\ud83d", "\ude00\ud83d"],
    ["a surrogate pair, escaped", "\\ud83d\\ude00", "😀"],
    ["a NUL", "\\u0000", "\0"],
    ["a byte-order mark inside", "\ufeffa", "\ufeffa"],
    ["bidirectional marks", "\u202ea\u2066b", "\u202ea\u2066b"],
    ["line separators", "\u2028\u2029", "\u2028\u2029"],
    ["an escaped slash", "\\/", "/"],
    ["an emoji sequence", "👩‍👩‍👧‍👦", "👩‍👩‍👧‍👦"],
    ["a template", TEMPLATE, TEMPLATE],
  ])("with %s arrives as it was meant", async (_, json, meant) => {
    for (const path of [CHAT, MESSAGES]) {
      before = edge.upstream.calls.length;
      expect((await edge.post(path, user(`"${json}"`))).status).toBe(200);
      expect(sent()?.messages).toEqual([{ role: "user", content: meant }]);
    }
  });

  it("may begin with a byte-order mark", async () => {
    expect((await edge.post(CHAT, `\ufeff${text}`)).status).toBe(200);
    before = edge.upstream.calls.length;
    expectRefused(await edge.post(CHAT, `\ufeff\ufeff${text}`), 400, "invalid_json");
  });

  it("with a field twice: the gateway and the provider read the same one", async () => {
    expect((await edge.post(CHAT, text.replace("{", '{"model":"nobody/nothing",'))).status).toBe(200);
    expect(executed()[0]?.body.match(/"model"/g)).toHaveLength(1);
    expect(sent()?.model).toBe("m");
    before = edge.upstream.calls.length;
    const second = await edge.post(CHAT, text.replace(/}$/, ',"model":"nobody/nothing"}'));
    expect(second.status).toBe(404);
    expect(executed()).toHaveLength(0);
  });

  it.each(["null", "1", '"text"', "[]", "true", "", " ", "{}x", "{'a':1}", "{a:1}", "[{}]", "NaN", '{"a":01}', '{"a":1,}', "\0"])(
    "%j is no JSON object",
    async (body) => {
      const answer = await edge.post(CHAT, body);
      expect(answer.status).toBe(400);
      expectError(answer, "openai", body);
      expect(executed()).toHaveLength(0);
    },
  );
});

function flip(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  const index = at < 0 ? copy.length + at : at;
  copy[index] = (copy[index] ?? 0) ^ 0x10;
  return copy;
}

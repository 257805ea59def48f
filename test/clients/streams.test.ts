import Anthropic from "@anthropic-ai/sdk";
import { bind, Clock } from "headgate";
import {
  type AnswerDialect,
  answerIn,
  cut,
  FakeClock,
  forever,
  framesIn,
  json,
  type Script,
  silence,
  silenceAfterHead,
  sse,
} from "headgate/testing";
import OpenAI from "openai";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PROVIDERS, type Provider, type Rig, startRig } from "./rig.ts";

let rig: Rig;
let clock: FakeClock;
beforeEach(async () => {
  clock = new FakeClock();
  rig = await startRig({}, [bind(Clock, clock)]);
});
afterEach(() => rig.stop());

const HI = [{ role: "user" as const, content: "Hi" }];
const TEXT = ["One ", "two ", "three"];

/** What a client has read of a stream, and how that ended. */
interface Reading {
  readonly text: string;
  readonly error: unknown;
}

interface StreamingClient {
  readonly name: string;
  readonly own: Provider;
  /** Reads to the end, or until `enough` says so; then it leaves. */
  read(model: string, enough?: (text: string) => boolean, signal?: AbortSignal): Promise<Reading>;
  ask(model: string, options?: { signal?: AbortSignal; timeout?: number; maxRetries?: number }): Promise<unknown>;
  readonly errors: { readonly abort: unknown; readonly timeout: unknown; readonly api: unknown; readonly server: unknown };
}

async function readText<Event>(
  stream: Promise<AsyncIterable<Event>>,
  textOf: (event: Event) => string,
  enough = (_: string) => false,
): Promise<Reading> {
  let text = "";
  try {
    for await (const event of await stream) {
      text += textOf(event);
      if (enough(text)) break;
    }
    return { text, error: undefined };
  } catch (error) {
    return { text, error };
  }
}

const CLIENTS: readonly StreamingClient[] = [
  {
    name: "openai",
    own: "openai-chat",
    read: (model, enough, signal) =>
      readText(
        rig.openai.chat.completions.create({ model, messages: HI, stream: true }, { signal: signal ?? null }),
        ({ choices }) => choices[0]?.delta.content ?? "",
        enough,
      ),
    ask: (model, options) => rig.openai.chat.completions.create({ model, messages: HI }, options),
    errors: {
      abort: OpenAI.APIUserAbortError,
      timeout: OpenAI.APIConnectionTimeoutError,
      api: OpenAI.APIError,
      server: OpenAI.InternalServerError,
    },
  },
  {
    name: "anthropic",
    own: "anthropic-messages",
    read: (model, enough, signal) =>
      readText(
        rig.anthropic.messages.create({ model, max_tokens: 10, messages: HI, stream: true }, { signal: signal ?? null }),
        (event) => (event.type === "content_block_delta" && event.delta.type === "text_delta" ? event.delta.text : ""),
        enough,
      ),
    ask: (model, options) => rig.anthropic.messages.create({ model, max_tokens: 10, messages: HI }, options),
    errors: {
      abort: Anthropic.APIUserAbortError,
      timeout: Anthropic.APIConnectionTimeoutError,
      api: Anthropic.APIError,
      server: Anthropic.InternalServerError,
    },
  },
];
const PAIRS = CLIENTS.flatMap((client) => PROVIDERS.map((provider) => [client.name, provider, client] as const));

/** The frames up to and with the second piece of text. */
function begun(provider: AnswerDialect): string[] {
  const frames = framesIn(provider, { text: TEXT });
  return frames.slice(0, frames.findIndex((frame) => frame.includes("two ")) + 1);
}

/** How each provider says in mid-stream that it failed. */
const FAILURES: Record<Provider, string> = {
  "openai-chat": 'data: {"error":{"message":"lost it","type":"server_error","param":null,"code":null}}\n\n',
  "anthropic-messages": 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"lost it"}}\n\n',
  gemini: 'data: {"error":{"code":503,"message":"lost it","status":"UNAVAILABLE"}}\r\n\r\n',
  cohere: 'event: message-end\ndata: {"type":"message-end","delta":{"finish_reason":"ERROR","error":"lost it"}}\n\n',
};

describe.each(PAIRS)("the %s client streaming from %s", (_, provider, client) => {
  const model = `${provider}/m`;

  it("lets go of the provider within a second when it leaves in mid-stream", async () => {
    rig.upstream.next(sse([...begun(provider), forever()]));
    const { error } = await client.read(model, (text) => text === "One two ");
    const leftAt = performance.now();
    expect(error).toBeUndefined();
    expect(await (await rig.upstream.call(0)).closed).toBe("gone");
    expect(performance.now() - leftAt).toBeLessThan(1000);
  });

  it.each<[string, (frames: string[]) => Script]>([
    ["is cut", (frames) => sse(frames)],
    ["is cut by the network", (frames) => cut(sse([...frames, forever()]), { steps: frames.length })],
    ["fails", (frames) => sse([...frames, FAILURES[provider]])],
  ])("throws after what came when the answer %s, and does not ask again", async (_how, script) => {
    rig.upstream.next(script(begun(provider)));
    const { text, error } = await client.read(model);
    expect(text).toBe("One two ");
    expect(error).toBeInstanceOf(client.errors.api);
    expect(error).not.toBeInstanceOf(client.errors.abort);
    expect(rig.upstream.calls).toHaveLength(1);
  });

  it("gets a real status when the provider fails before its first word", async () => {
    const [opening = ""] = framesIn(provider, { text: TEXT });
    rig.upstream.next(sse(provider === "gemini" ? [FAILURES.gemini] : [opening, FAILURES[provider]]));
    const { text, error } = await client.read(model);
    expect(text).toBe("");
    expect(error).toBeInstanceOf(client.errors.server);
    expect(error).toMatchObject({ status: provider === "anthropic-messages" || provider === "gemini" ? 503 : 502 });
  });
});

describe.each(CLIENTS.map((client) => [client.name, client] as const))("the %s client", (_, client) => {
  const model = `${client.own}/m`;

  it("lets go of the provider when it gives up waiting for a whole answer", async () => {
    rig.upstream.next(silence());
    const controller = new AbortController();
    const asked = client.ask(model, { signal: controller.signal });
    const call = await rig.upstream.call(0);
    controller.abort();
    await expect(asked).rejects.toBeInstanceOf(client.errors.abort);
    expect(await call.closed).toBe("gone");
  });

  it("lets go of the provider at its own timeout, and of the retry's too", async () => {
    rig.upstream.always(silence());
    await expect(client.ask(model, { timeout: 60, maxRetries: 1 })).rejects.toBeInstanceOf(client.errors.timeout);
    for (const index of [0, 1]) expect(await (await rig.upstream.call(index)).closed).toBe("gone");
    expect(rig.upstream.calls).toHaveLength(2);
  });

  it.each([
    ["says nothing", silence],
    ["opens a stream and says nothing", silenceAfterHead],
  ])("gets 504 when the provider %s within the gateway's deadline", async (_how, script) => {
    rig.upstream.next(script());
    const reading = client.read(model);
    const call = await rig.upstream.call(0);
    await clock.advance(120_000);
    const { error } = await reading;
    expect(error).toBeInstanceOf(client.errors.server);
    expect(error).toMatchObject({ status: 504 });
    expect(await call.closed).toBe("gone");
  });

  it("throws when the provider falls silent in mid-stream", async () => {
    rig.upstream.next(sse([...begun(client.own), forever()]));
    const seen = Promise.withResolvers<void>();
    const reading = client.read(model, (text) => {
      if (text === "One two ") seen.resolve();
      return false;
    });
    await seen.promise;
    await clock.advance(60_000);
    const { text, error } = await reading;
    expect(text).toBe("One two ");
    expect(error).toBeInstanceOf(client.errors.api);
    expect(await (await rig.upstream.call(0)).closed).toBe("gone");
  });

  it("reads on over the comments that keep a slow stream open", async () => {
    const gate = Promise.withResolvers<void>();
    const frames = framesIn(client.own, { text: TEXT });
    const at = begun(client.own).length;
    rig.upstream.next(sse([...frames.slice(0, at), { until: gate.promise }, ...frames.slice(at)]));
    const seen = Promise.withResolvers<void>();
    const reading = client.read(model, (text) => {
      if (text === "One two ") seen.resolve();
      return false;
    });
    await seen.promise;
    await clock.advance(35_000);
    gate.resolve();
    expect(await reading).toEqual({ text: "One two three", error: undefined });
  });

  it("streams an answer that the provider did not, once a plugin made it so", async () => {
    const whole = await startRig({
      plugins: [
        {
          name: "unstream",
          async handle(exchange, next) {
            exchange.request = { ...exchange.request, stream: false };
            await next();
          },
        },
      ],
    });
    const before = rig;
    rig = whole;
    try {
      rig.upstream.always(answerIn(client.own, { text: TEXT }));
      expect(await client.read(model)).toEqual({ text: "One two three", error: undefined });
      expect(rig.upstream.calls[0]?.json).not.toMatchObject({ stream: true });
    } finally {
      await whole.stop();
      rig = before;
    }
  });

  it("is refused a JSON where it asked for a stream", async () => {
    rig.upstream.next(json({ choices: [] }));
    expect((await client.read(model)).error).toMatchObject({ status: 502 });
  });
});

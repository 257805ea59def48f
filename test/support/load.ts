import { setTimeout as sleep } from "node:timers/promises";
import { answerIn, ClientRecorder, callIn, type RecordedRequest, type Responder, type Step } from "headgate/testing";

const TEXT = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness.";

/** A streamed answer in OpenAI's format that takes about `ms`, and says and claims another thing for each call. */
export function slowly(ms: number): Responder {
  return (call) => {
    const number = callIn(call.body) ?? 0;
    const usage = { inputTokens: 100 + (number % 50), outputTokens: 20 + (number % 30) };
    const script = answerIn("openai-chat", { text: `${TEXT} ${number}`, usage })(call);
    const { body } = script;
    if (typeof body !== "object" || body instanceof Uint8Array) return { ...script, wait: { until: sleep(ms) } };
    const frames = [...(body as Iterable<Step>)];
    return { ...script, body: paced(frames, ms) };
  };
}

async function* paced(frames: readonly Step[], ms: number): AsyncGenerator<Step> {
  for (const frame of frames) {
    yield frame;
    yield { until: sleep(ms / frames.length) };
  }
}

/** Clients that keep calling one address, whether somebody answers there or not. */
export class Load {
  readonly client: ClientRecorder;
  readonly #clients: Promise<void>[];
  #over = false;

  /** `request` makes what client number `index` asks, each time. */
  constructor(url: string, count: number, request: (index: number) => RecordedRequest) {
    this.client = new ClientRecorder(url);
    this.#clients = Array.from({ length: count }, async (_, index) => {
      while (!this.#over) {
        const { status } = await this.client.call(request(index));
        if (status !== 200) await sleep(status === 0 ? 20 : 150);
      }
    });
  }

  /** Resolves when the last answers are in. */
  async stop(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#clients);
  }
}

import type { ChatChunk, ChatRequest, Usage } from "headgate";
import type { Dialect, FrameKind, StreamReader } from "../../core/dialects/dialect.ts";
import { SseFramer } from "../../core/dialects/sse.ts";

export interface ReadStream {
  readonly chunks: ChatChunk[];
  readonly kinds: FrameKind[];
  readonly usage: Usage | null;
  /** Whether the body's end, here, means a whole answer. */
  readonly whole: boolean;
  readonly reader: StreamReader;
}

/** Reads a stream from its pieces as the gateway's pump does: a piece's frames are all inspected, then decoded. */
export function readStream(dialect: Dialect, pieces: readonly Buffer[], request: Partial<ChatRequest> = {}): ReadStream {
  const reader = dialect.upstream?.streamReader({ model: "asked-for", request: { model: "asked-for", messages: [], ...request } });
  if (!reader) throw new Error(`${dialect.name} has no upstream half`);
  const framer = new SseFramer();
  const chunks: ChatChunk[] = [];
  const kinds: FrameKind[] = [];
  for (const piece of [...pieces, null]) {
    const frames = piece ? framer.push(piece) : framer.end();
    const marked = frames.map((frame) => ({ frame, kind: reader.inspect(frame) }));
    for (const { frame, kind } of marked) {
      kinds.push(kind);
      if (kind === "error" || kind === "end") return result(reader, chunks, kinds, kind === "end");
      chunks.push(...reader.decode(frame));
    }
  }
  return result(reader, chunks, kinds, reader.endsWithBody);
}

function result(reader: StreamReader, chunks: ChatChunk[], kinds: FrameKind[], whole: boolean): ReadStream {
  return { chunks, kinds, usage: reader.usage, whole, reader };
}

/** What a client makes of the chunks of one choice. */
export function assemble(chunks: readonly ChatChunk[], index = 0) {
  const answer = {
    text: "",
    reasoning: "",
    calls: [] as { name: string; args: string; signature?: unknown }[],
    finish: undefined as unknown,
  };
  for (const choice of chunks.flatMap(({ choices }) => choices).filter((each) => each.index === index)) {
    answer.text += choice.delta.content ?? "";
    answer.reasoning += choice.delta.reasoning_content ?? "";
    for (const delta of choice.delta.tool_calls ?? []) {
      answer.calls[delta.index] ??= { name: "", args: "" };
      const call = answer.calls[delta.index];
      if (!call) continue;
      call.name += delta.function?.name ?? "";
      call.args += delta.function?.arguments ?? "";
      if (delta.extra_content) call.signature = delta.extra_content;
    }
    answer.finish = choice.finish_reason ?? answer.finish;
  }
  return answer;
}

/** Chunks as text, without what differs from run to run: made-up ids and the time. */
function comparable(chunks: readonly ChatChunk[]): string {
  return JSON.stringify(chunks.map(({ created: _, ...chunk }) => chunk)).replace(/(call|chatcmpl)_[0-9a-f]{32}/g, "$1_");
}

/** The places at which the bytes, cut in two there, do not read as they do unsplit; -1 for single bytes. */
export function differingSplits(dialect: Dialect, bytes: Buffer): number[] {
  const unsplit = comparable(readStream(dialect, [bytes]).chunks);
  const differs = (pieces: readonly Buffer[]) => comparable(readStream(dialect, pieces).chunks) !== unsplit;
  const places = Array.from({ length: bytes.length - 1 }, (_, index) => index + 1);
  const singles = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
  return [...places.filter((at) => differs([bytes.subarray(0, at), bytes.subarray(at)])), ...(differs(singles) ? [-1] : [])];
}

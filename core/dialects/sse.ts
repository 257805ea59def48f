import { GatewayError } from "../errors.ts";

/** One server-sent event, or a comment. */
export interface Frame {
  /** The `event:` field, or empty. */
  readonly event: string;
  /** The `data:` lines joined by newlines, or empty for a frame of comments only. */
  readonly data: string;
  /** The frame's own bytes, closing blank line included. */
  readonly raw: Buffer;
}

const LF = 0x0a;
const CR = 0x0d;
const EMPTY = Buffer.alloc(0);
const LONE_CR = Buffer.from("\r");
const BOM = Buffer.from("\ufeff");
/** Most bytes of one frame: a provider that sends more without a blank line is not speaking SSE. */
const FRAME_LIMIT = 1024 * 1024;

/**
 * Cuts a byte stream into frames at its blank lines (https://html.spec.whatwg.org/multipage/server-sent-events.html):
 * LF, CRLF and CR in any mixture, a BOM at the start. Works on bytes and decodes a frame at a time, so no character is
 * ever split. The frames' `raw`, one after the other, are the input up to the last blank line.
 */
export class SseFramer {
  /** The unfinished frame, in a buffer that grows by doubling, so that a sender of single bytes costs no more than another. */
  #held = EMPTY;
  #heldLength = 0;
  /** Whether the last chunk ended in a CR that an LF may still follow. */
  #heldCr = false;
  /** Whether the current line has bytes in earlier chunks. */
  #lineBegun = false;
  /** Lines with bytes in the unfinished frame. */
  #lines = 0;
  #first = true;

  /** The frames that this chunk completes. Throws GatewayError `upstream_invalid` for a frame over 1 MiB. */
  push(chunk: Buffer): Frame[] {
    if (chunk.length === 0) return [];
    const bytes = this.#heldCr ? Buffer.concat([LONE_CR, chunk]) : chunk;
    this.#heldCr = bytes[bytes.length - 1] === CR;
    return this.#scan(this.#heldCr ? bytes.subarray(0, -1) : bytes);
  }

  /** The frame that a last, lone CR completes. What no blank line ended is dropped, as the standard says. */
  end(): Frame[] {
    if (!this.#heldCr) return [];
    this.#heldCr = false;
    return this.#scan(LONE_CR);
  }

  #scan(bytes: Buffer): Frame[] {
    const frames: Frame[] = [];
    let start = 0;
    let line = 0;
    let lf = bytes.indexOf(LF);
    let cr = bytes.indexOf(CR);
    while (lf !== -1 || cr !== -1) {
      const at = cr === -1 || (lf !== -1 && lf < cr) ? lf : cr;
      const next = at === cr && lf === at + 1 ? at + 2 : at + 1;
      if (lf !== -1 && lf < next) lf = bytes.indexOf(LF, next);
      if (cr !== -1 && cr < next) cr = bytes.indexOf(CR, next);
      if (at > line || this.#lineBegun) {
        this.#lines += 1;
      } else if (this.#lines > 0) {
        frames.push(this.#frame(this.#complete(bytes.subarray(start, next))));
        start = next;
      }
      this.#lineBegun = false;
      line = next;
    }
    if (start < bytes.length) this.#hold(bytes.subarray(start));
    if (line < bytes.length) this.#lineBegun = true;
    return frames;
  }

  #hold(bytes: Buffer): void {
    const length = this.#heldLength + bytes.length;
    if (length > FRAME_LIMIT) throw tooLong();
    if (length > this.#held.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(length, this.#held.length * 2, 256));
      this.#held.copy(grown, 0, 0, this.#heldLength);
      this.#held = grown;
    }
    bytes.copy(this.#held, this.#heldLength);
    this.#heldLength = length;
  }

  #complete(tail: Buffer): Buffer {
    if (this.#heldLength === 0) {
      if (tail.length > FRAME_LIMIT) throw tooLong();
      return tail;
    }
    this.#hold(tail);
    const whole = this.#held.subarray(0, this.#heldLength);
    this.#held = EMPTY;
    this.#heldLength = 0;
    return whole;
  }

  #frame(raw: Buffer): Frame {
    const from = this.#first && raw.subarray(0, BOM.length).equals(BOM) ? BOM.length : 0;
    const single = this.#lines === 1 && isDataLine(raw, from);
    this.#first = false;
    this.#lines = 0;
    if (single) {
      let end = raw.length;
      while (raw[end - 1] === LF || raw[end - 1] === CR) end -= 1;
      return { event: "", data: raw.toString("utf8", from + (raw[from + 5] === 0x20 ? 6 : 5), end), raw };
    }
    let event = "";
    let data: string | undefined;
    for (const line of raw.toString("utf8", from).split(/\r\n|\n|\r/)) {
      if (line.startsWith("data:")) {
        const value = line.slice(line[5] === " " ? 6 : 5);
        data = data === undefined ? value : `${data}\n${value}`;
      } else if (line.startsWith("event:")) {
        event = line.slice(line[6] === " " ? 7 : 6);
      } else if (line === "data") {
        data = data === undefined ? "" : `${data}\n`;
      } else if (line === "event") {
        event = "";
      }
    }
    return { event, data: data ?? "", raw };
  }
}

function isDataLine(raw: Buffer, at: number): boolean {
  return raw[at] === 0x64 && raw[at + 1] === 0x61 && raw[at + 2] === 0x74 && raw[at + 3] === 0x61 && raw[at + 4] === 0x3a;
}

function tooLong(): GatewayError {
  return new GatewayError("upstream_invalid", { cause: new Error("an SSE frame is longer than 1 MiB") });
}

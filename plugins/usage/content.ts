import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import type { ChatChunk, ChatReply, Exchange, Reply } from "headgate";

/** Characters kept of a prompt, and of an answer. */
const MOST = 256 * 1024;
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Texts at rest, under AES-256-GCM: nonce, tag and ciphertext in base64. */
export class Vault {
  readonly #key: KeyObject;

  /** `key`: 32 bytes in base64. */
  constructor(key: string) {
    this.#key = createSecretKey(Buffer.from(key, "base64"));
  }

  seal(text: string): string {
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv("aes-256-gcm", this.#key, iv);
    const sealed = Buffer.concat([cipher.update(text.slice(0, MOST), "utf8"), cipher.final()]);
    return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString("base64");
  }

  /** Undefined for what another key has sealed, or nobody. */
  open(text: string): string | undefined {
    const bytes = Buffer.from(text, "base64");
    try {
      const decipher = createDecipheriv("aes-256-gcm", this.#key, bytes.subarray(0, IV_BYTES));
      decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
      return Buffer.concat([decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES)), decipher.final()]).toString("utf8");
    } catch {
      return undefined;
    }
  }
}

/** What was asked, as the client wrote it. */
export function promptOf({ wire }: Exchange): string {
  return JSON.stringify(wire.messages ?? wire.input ?? null);
}

/** Listens to an answer on its way to the client; returns how to ask for what was heard. */
export function listen(exchange: Exchange): () => string {
  const reply = exchange.reply as Reply | undefined;
  if (!reply) return () => "";
  if (reply.kind === "json") {
    const { choices = [] } = reply.body as Partial<ChatReply>;
    return () => choices.map(({ message }) => message?.content ?? "").join("\n");
  }
  let heard = "";
  const inner = reply.stream;
  reply.stream = (async function* () {
    for await (const chunk of inner as AsyncIterable<ChatChunk>) {
      for (const { delta } of chunk.choices) if (delta.content && heard.length < MOST) heard += delta.content;
      yield chunk;
    }
  })();
  return () => heard;
}

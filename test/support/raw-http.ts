import { connect, type Socket } from "node:net";

interface RawResponse {
  readonly status: number;
  /** Lower-case names; the last of a repeated one. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface RawAnswer {
  /** Final responses in order, interim ones (1xx) left out. */
  readonly responses: readonly RawResponse[];
  /** Statuses of interim responses. */
  readonly interim: readonly number[];
  /** Whether the server ended the connection within the wait. */
  readonly closed: boolean;
}

export interface RawOptions {
  /** Ms to wait for the server to end the connection. */
  readonly wait?: number;
  /** Stop waiting once so many responses are in. */
  readonly responses?: number;
}

/** Writes bytes to a port as they are, and reads what comes back until the server closes, or answered often enough. */
export async function sendRaw(port: number, bytes: string | Uint8Array, options: RawOptions = {}): Promise<RawAnswer> {
  const socket = await open(port);
  socket.write(bytes);
  return readRaw(socket, options);
}

/** A connection to this machine that survives being reset. */
export async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  socket.removeAllListeners("error").on("error", () => undefined);
  return socket;
}

export async function readRaw(socket: Socket, { wait = 3_000, responses: enough = Infinity }: RawOptions = {}): Promise<RawAnswer> {
  const chunks: Buffer[] = [];
  const closed = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), wait);
    const done = (ended: boolean) => {
      clearTimeout(timer);
      resolve(ended);
    };
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      if (enough < Infinity && parse(Buffer.concat(chunks)).responses.length >= enough) done(false);
    });
    socket.once("close", () => done(true)).once("end", () => done(true));
  });
  socket.destroy();
  return { ...parse(Buffer.concat(chunks)), closed };
}

/** Whole responses framed by their length, or by the end of the connection. */
function parse(bytes: Buffer): Pick<RawAnswer, "responses" | "interim"> {
  const responses: RawResponse[] = [];
  const interim: number[] = [];
  let rest = bytes.toString("latin1");
  for (;;) {
    const headEnd = rest.indexOf("\r\n\r\n");
    if (headEnd < 0) return { responses, interim };
    const [first = "", ...lines] = rest.slice(0, headEnd).split("\r\n");
    const status = Number(first.split(" ")[1]);
    rest = rest.slice(headEnd + 4);
    if (status < 200) {
      interim.push(status);
      continue;
    }
    const headers: Record<string, string> = {};
    for (const line of lines) headers[line.slice(0, line.indexOf(":")).toLowerCase()] = line.slice(line.indexOf(":") + 1).trim();
    const length = Number(headers["content-length"] ?? rest.length);
    if (rest.length < length) return { responses, interim };
    responses.push({ status, headers, body: Buffer.from(rest.slice(0, length), "latin1").toString() });
    rest = rest.slice(length);
  }
}

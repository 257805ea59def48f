import { SMTPServer } from "smtp-server";

/** A mail as the server got it. */
interface ReceivedMail {
  /** From the envelope. */
  readonly to: readonly string[];
  /** Header fields, names in lower case, values unfolded. */
  readonly headers: ReadonlyMap<string, string>;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

export interface MailServer {
  readonly port: number;
  readonly url: string;
  readonly mails: readonly ReceivedMail[];
  /** Answers a recipient with this SMTP code from now on; undefined takes it. */
  refuse(address: string, code: number | undefined): void;
  stop(): Promise<void>;
}

/** A real SMTP server on loopback that keeps what it gets. */
export async function startMailServer(port = 0): Promise<MailServer> {
  const mails: ReceivedMail[] = [];
  const refused = new Map<string, number>();
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS", "AUTH"],
    onRcptTo({ address }, _session, done) {
      const code = refused.get(address);
      done(code === undefined ? null : Object.assign(new Error("not here"), { responseCode: code }));
    },
    onData(stream, session, done) {
      const pieces: Buffer[] = [];
      stream.on("data", (piece: Buffer) => void pieces.push(piece));
      stream.on("end", () => {
        mails.push(
          parse(
            Buffer.concat(pieces).toString(),
            session.envelope.rcptTo.map(({ address }) => address),
          ),
        );
        done(null);
      });
    },
  });
  server.on("error", () => undefined);
  const listening = server.listen(port, "127.0.0.1");
  await new Promise<void>((resolve) => void (listening.listening ? resolve() : listening.once("listening", resolve)));
  const bound = (listening.address() as { port: number }).port;
  return {
    port: bound,
    url: `smtp://127.0.0.1:${bound}`,
    mails,
    refuse: (address, code) => void (code === undefined ? refused.delete(address) : refused.set(address, code)),
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function parse(raw: string, to: readonly string[]): ReceivedMail {
  const { headers, body } = split(raw);
  const boundary = /boundary="?([^";]+)"?/.exec(headers.get("content-type") ?? "")?.[1] ?? "";
  const parts = body.split(`--${boundary}`).map((part) => split(part.trimStart()));
  const of = (type: string) => {
    const part = parts.find((each) => each.headers.get("content-type")?.startsWith(type));
    return part ? decode(part.body, part.headers.get("content-transfer-encoding") ?? "") : "";
  };
  return { to, headers, subject: words(headers.get("subject") ?? ""), text: of("text/plain"), html: of("text/html") };
}

function split(raw: string): { headers: Map<string, string>; body: string } {
  const end = raw.indexOf("\r\n\r\n");
  const lines = raw
    .slice(0, end)
    .replaceAll(/\r\n[ \t]+/g, " ")
    .split("\r\n");
  const headers = new Map(lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]));
  return { headers, body: raw.slice(end + 4) };
}

/** RFC 2047, the Q encoding alone. */
function words(value: string): string {
  const joined = value.replaceAll(/\?= =\?UTF-8\?Q\?/g, "");
  return joined.replaceAll(/=\?UTF-8\?Q\?(.*?)\?=/g, (_, word: string) => decode(word.replaceAll("_", " "), "quoted-printable"));
}

function decode(body: string, encoding: string): string {
  if (encoding === "base64") return Buffer.from(body, "base64").toString();
  if (encoding !== "quoted-printable") return body.trim();
  const bytes = body
    .replaceAll("=\r\n", "")
    .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1").toString().trim();
}

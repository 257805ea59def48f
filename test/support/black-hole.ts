import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";

/** A listener that accepts nothing: its process is stopped, and `room` more connections than its queue takes are made. */
export async function blackHole(room = 8): Promise<{ readonly port: number; close(): void }> {
  const listen =
    "const s = require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(s.address().port))";
  const child = spawn(process.execPath, ["-e", listen], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  child.kill("SIGSTOP");
  const port = Number(line.toString());
  const fillers = Array.from({ length: room }, () => connect(port, "127.0.0.1").on("error", () => undefined));
  if (room > 0) await once(fillers[0] as (typeof fillers)[0], "connect");
  const close = () => {
    for (const filler of fillers) filler.destroy();
    child.kill("SIGKILL");
  };
  return { port, close };
}

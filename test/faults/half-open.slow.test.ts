import { once } from "node:events";
import type { Readable } from "node:stream";
import { forever, framesIn, ScriptedUpstream, type Step, sse } from "headgate/testing";
import { expect, it, onTestFinished } from "vitest";
import { startGatewayProcess } from "../support/gateway-process.ts";
import { createNetwork } from "../support/network.ts";
import { bodyOf, PATHS } from "../support/sse-client.ts";

const frames = framesIn("openai-chat", { text: ["one", " two", " three"] });

it.each<[what: string, rest: () => Iterable<Step>]>([
  ["nothing but heartbeats goes out", () => [forever()]],
  [
    "data goes out without end",
    function* () {
      for (;;) yield frames[2]?.replace(" two", "x".repeat(32 * 1024)) ?? "";
    },
  ],
])(
  "C6: a client whose link is cut is dropped within a minute, when %s",
  async (_, rest) => {
    const network = createNetwork();
    if (!network) return void process.stderr.write("no network namespace can be made here (root and iproute2 are needed): skipped\n");
    const upstream = await ScriptedUpstream.start();
    onTestFinished(() => upstream.close());
    upstream.always(() =>
      sse(
        (function* () {
          yield* frames.slice(0, 2);
          yield* rest();
        })(),
      ),
    );
    const gateway = await startGatewayProcess({ UPSTREAM_URL: upstream.url, HOST: "0.0.0.0" });
    const body = bodyOf({ model: "openai-chat/m" });
    const head = `POST ${PATHS["openai-chat"]} HTTP/1.1\r\nhost: ${network.host}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
    const client = network.run(
      `const s = require("net").connect(${gateway.port}, "${network.host}", () => s.write(${JSON.stringify(head + body)}));` +
        `s.once("data", () => console.log("reading")); s.resume()`,
    );
    await once(client.stdout as Readable, "data");
    const cut = performance.now();
    network.pull();
    expect(await (await upstream.call(0)).closed).toBe("gone");
    expect(performance.now() - cut).toBeLessThan(60_000);
    expect(await gateway.metric("headgate_requests_total", 'outcome="cancelled"')).toBe(1);
    expect(await gateway.metric("headgate_requests_in_flight")).toBe(0);
    await gateway.expectAlive();
  },
  90_000,
);

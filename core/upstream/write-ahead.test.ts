import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { definePlugin, defineProvider, type Spool, Spools } from "headgate";
import { startGateway } from "headgate/testing";
import { expect, it, onTestFinished } from "vitest";
import { z } from "zod";

const CALLS = 40;

/** Writes each call's question down, in its handle. */
const diary = definePlugin({
  name: "diary",
  options: z.strictObject({}),
  inject: { spools: Spools },
  setup(_, { spools }) {
    let spool: Spool | undefined;
    return {
      async start() {
        spool = await spools.open({ name: "diary", deliver: async () => undefined });
      },
      stop: () => spool?.close(0),
      handle(exchange, next) {
        spool?.append(JSON.stringify(exchange.wire.messages));
        return next();
      },
    };
  },
});

it("what a plugin wrote down of a call is in its file before the provider hears of the call", async () => {
  const data = mkdtempSync(join(tmpdir(), "headgate-ahead-"));
  onTestFinished(() => rmSync(data, { recursive: true, force: true }));
  const folder = join(data, "instances", "0", "diary");
  const written = () => readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
  const ahead: boolean[] = [];
  const provider = defineProvider({
    name: "local",
    options: z.strictObject({}),
    setup: () => ({
      name: "local",
      dialect: "openai-chat",
      baseUrl: "http://localhost",
      headers: () => ({}),
      models: [{ id: "echo" }],
      async send({ body }) {
        ahead.push(
          written()
            .join("")
            .includes(JSON.stringify((JSON.parse(String(body)) as { messages: object[] }).messages)),
        );
        return { status: 400, headers: {}, body: { read: async () => null, destroy() {} } };
      },
    }),
  });
  const { url, stop } = await startGateway({ data, providers: [provider()], plugins: [diary()] });
  onTestFinished(stop);

  const ask = (number: number) =>
    fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "local/echo", messages: [{ role: "user", content: `question ${number}.` }] }),
    });
  const answers = await Promise.all(Array.from({ length: CALLS }, (_, number) => ask(number)));
  expect(answers.map(({ status }) => status)).toEqual(Array(CALLS).fill(400));
  expect(ahead).toEqual(Array(CALLS).fill(true));
});

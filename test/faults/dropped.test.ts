import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bind, Clock, type Spool, type SpoolOptions, Spools } from "headgate";
import { answerIn, ClientRecorder, callIn, checkHistories, FakeLogger, type Violation } from "headgate/testing";
import { expect, it, onTestFinished } from "vitest";
import { Scope } from "../../core/di.ts";
import { createMetrics } from "../../core/services/metrics-registry.ts";
import { FileSpools } from "../../core/services/spool/spools.ts";
import { startLedgerRig, times } from "../support/ledger-rig.ts";

const CALLS = 30;

/** Real spools, one of which loses one record: the tenth of those that begin with `letter`. */
class LossySpools implements Spools {
  readonly #spools: FileSpools;
  readonly #name: string | undefined;
  readonly #letter: string;
  #seen = 0;

  constructor(name: string | undefined, letter = "") {
    const data = mkdtempSync(join(tmpdir(), "headgate-lossy-"));
    this.#spools = new FileSpools(data, { clock: new Scope().get(Clock), metrics: createMetrics(), logger: new FakeLogger() });
    onTestFinished(() => {
      this.#spools.close();
      rmSync(data, { recursive: true, force: true });
    });
    this.#name = name;
    this.#letter = letter;
  }

  get instance(): string {
    return this.#spools.instance;
  }

  async open(options: SpoolOptions): Promise<Spool> {
    const spool = await this.#spools.open(options);
    if (options.name !== this.#name) return spool;
    const append = spool.append.bind(spool);
    return Object.assign(spool, {
      append: (record: string) => (record.startsWith(`${this.#letter}\t`) && ++this.#seen === 10) || append(record),
    });
  }
}

/** What the checker says of a gateway that works through 30 calls and whose spool loses one record. */
async function violationsWith(name: string | undefined, letter?: string): Promise<Violation[]> {
  const { url, finish } = await startLedgerRig({
    responder: (call) => {
      const number = callIn(call.body) ?? 0;
      return answerIn("openai-chat", { text: `This is answer ${number}`, usage: { inputTokens: 50 + number, outputTokens: 10 } })(call);
    },
    plans: { small: ["900M tokens once", "$9000 once"] },
    services: [bind(Spools, new LossySpools(name, letter))],
  });
  const client = new ClientRecorder(url);
  await times(CALLS, 5, (index) => client.call({ model: "scripted/m", key: "key_of_usr_ann", stream: index % 2 === 0 }));
  return checkHistories(await finish(client));
}

it("the checker has nothing to say when nothing is lost", async () => {
  expect(await violationsWith(undefined)).toEqual([]);
});

it("the checker names I3 when one settlement of the quota is lost: what it held, and what it did not charge", async () => {
  const violations = await violationsWith("quota", "s");
  expect([...new Set(violations.map(({ invariant }) => invariant))]).toEqual(["I3"]);
  const said = violations.map(({ message }) => message).join("\n");
  for (const unit of ["tokens", "money"]) {
    expect(said).toMatch(new RegExp(`user:usr_ann:${unit}:once:0: \\d+ reserved at rest`));
    expect(said).toMatch(new RegExp(`user:usr_ann:${unit}:once:0: \\d+ settled, but the ledger says \\d+`));
  }
});

it("the checker names I2 when one row of the ledger is lost, and I3 because the quota has charged for it", async () => {
  const violations = await violationsWith("usage", "e");
  expect(violations).toContainEqual({ invariant: "I2", message: "no exchange row", call: expect.any(Number) });
  expect([...new Set(violations.map(({ invariant }) => invariant))]).toEqual(["I2", "I3"]);
});

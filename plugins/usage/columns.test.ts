import { FakeExchange } from "headgate/testing";
import { expect, it } from "vitest";
import { ATTEMPT, type Call, EXCHANGE, rowOf, tryRowOf } from "./columns.ts";
import { beginLine, readLines, startLine } from "./record.ts";

const attempt = { id: "try_1", target: { provider: "test", model: "m" }, startedAt: 1 };
const call: Call = {
  exchange: Object.assign(new FakeExchange(), { attempts: [attempt] }),
  outcome: { kind: "complete", status: 200, usage: null, estimated: false },
  createdAt: 1,
  endedAt: 2,
  asked: undefined,
  session: null,
  estimatedInput: undefined,
  promptHash: null,
  cost: null,
  catalogue: { cost: () => null } as never,
};

it.each([
  ["a call", rowOf(call), EXCHANGE],
  ["a try", tryRowOf(attempt, call), ATTEMPT],
])("the cells of %s are in the order of its table's columns, and no number is a fraction", (_what, row, columns) => {
  expect(Object.keys(row)).toEqual(columns.map(({ name }) => name));
  for (const { name, type } of columns) {
    const cell = row[name as keyof typeof row];
    expect(cell === null || (type === "text" ? typeof cell === "string" : Number.isInteger(cell)), name).toBe(true);
  }
});

it("what is known of a call when it begins gets into the same columns of the row of one that never ended", () => {
  const begun = {
    created_at: 1,
    user_id: "user",
    key_id: "key",
    team: "team",
    plan: "plan",
    session: "session",
    dialect: "dialect",
    operation: "operation",
    requested_model: "model",
    input_tokens: 2,
    user_agent: "agent",
    ip: "ip",
  };
  const { calls } = readLines([beginLine("run_old", "req_lost", begun), startLine("run_new")], "run_new", new Map());
  const [cells] = JSON.parse(calls) as unknown[][];
  expect(Object.fromEntries(EXCHANGE.map(({ name }, at) => [name, cells?.[at]]))).toMatchObject({
    ...begun,
    id: "req_lost",
    outcome: "unknown",
  });
});

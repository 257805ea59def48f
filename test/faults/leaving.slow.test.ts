import { it } from "vitest";
import { leaveAtTheEnd, readForNothing } from "../support/leaving-run.ts";

const SEED = Number(process.env.FAULT_SEED ?? Date.now() % 1_000_000);

it(
  "C3: who reads all but the last chunk and leaves, 1,000 times, is billed for it, and stopped by the budget",
  () => readForNothing(1_000),
  300_000,
);

it(
  `C11: leaving within 5 ms of the last chunk, 5,000 times, makes one row and one release each (FAULT_SEED=${SEED})`,
  () => leaveAtTheEnd(5_000, SEED),
  600_000,
);

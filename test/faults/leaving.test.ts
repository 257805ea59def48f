import { it } from "vitest";
import { leaveAtTheEnd, readForNothing } from "../support/leaving-run.ts";

it(
  "C3: who reads all but the last chunk and leaves, 200 times, is billed for it, and stopped by the budget",
  () => readForNothing(200),
  60_000,
);

it("C11: leaving within 5 ms of the last chunk, 500 times, makes one row and one release each", () => leaveAtTheEnd(500, 11), 60_000);

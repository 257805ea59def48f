import { describe, expect, it } from "vitest";
import { FakeClock } from "./clock.ts";

describe("FakeClock", () => {
  it("fires what falls due in order, each at its own time, and runs promises in between", async () => {
    const clock = new FakeClock();
    const seen: string[] = [];
    clock.timer(20, () => seen.push(`b at ${clock.monotonic()}`));
    clock.timer(10, () => {
      seen.push(`a at ${clock.monotonic()}`);
      void clock.sleep(5).then(() => seen.push(`a2 at ${clock.monotonic()}`));
    });
    await clock.advance(30);
    expect(seen).toEqual(["a at 10", "a2 at 15", "b at 20"]);
    expect(clock.monotonic()).toBe(30);
    expect(clock.now().toISOString()).toBe("2026-01-01T00:00:00.030Z");
  });

  it("fires timers set for the same time in the order in which they were set", async () => {
    const clock = new FakeClock();
    const seen: number[] = [];
    for (const id of [1, 2, 3]) clock.timer(10, () => seen.push(id));
    await clock.advance(10);
    expect(seen).toEqual([1, 2, 3]);
  });

  it("repeats an interval until it is cancelled, and starts a refreshed timer anew", async () => {
    const clock = new FakeClock();
    let ticks = 0;
    const interval = clock.interval(10, () => {
      ticks += 1;
    });
    let fired = false;
    const timer = clock.timer(25, () => {
      fired = true;
    });
    await clock.advance(20);
    timer.refresh();
    await clock.advance(24);
    expect(fired).toBe(false);
    expect(ticks).toBe(4);
    interval.cancel();
    await clock.advance(100);
    expect(fired).toBe(true);
    expect(ticks).toBe(4);
    expect(clock.pending).toBe(0);
  });

  it("ends a sleep with the signal's reason and forgets its timer", async () => {
    const clock = new FakeClock();
    const controller = new AbortController();
    const sleep = clock.sleep(1000, controller.signal);
    controller.abort(new Error("gone"));
    await expect(sleep).rejects.toThrow("gone");
    expect(clock.pending).toBe(0);
    await expect(clock.sleep(1, controller.signal)).rejects.toThrow("gone");
  });

  it("moves wall time without touching monotonic time", async () => {
    const clock = new FakeClock(0);
    clock.shiftWall(-3_600_000);
    expect(clock.now().getTime()).toBe(-3_600_000);
    expect(clock.monotonic()).toBe(0);
  });

  it("runs until a promise settles", async () => {
    const clock = new FakeClock();
    const work = (async () => {
      await clock.sleep(100);
      await clock.sleep(200);
      return clock.monotonic();
    })();
    expect(await clock.runUntil(work)).toBe(300);
  });
});

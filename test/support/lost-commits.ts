import { setTimeout as sleep } from "node:timers/promises";
import { FaultProxy } from "headgate/testing";
import { onTestFinished } from "vitest";

export interface LostCommits {
  /** Of the same database, by the way on which this happens. */
  readonly url: string;
  /** How many have been lost so far. */
  readonly lost: number;
}

export interface LostCommitsOptions {
  /** Of a PostgreSQL database. */
  readonly url: string;
  /** Part of a statement of the transactions that this happens to. */
  readonly of: string;
  /** To how many of them. */
  readonly times: number;
  /** For how long, in ms, nothing gets through afterwards; longer than a transaction is tried again, or not at all. */
  readonly away?: number;
}

/** PostgreSQL hears COMMIT and commits; what it answers is lost, and then the connection. */
export async function loseCommits({ url, of, times, away = 0 }: LostCommitsOptions): Promise<LostCommits> {
  const direct = new URL(url);
  const state = { lost: 0, within: false, away: false };
  const lose = async () => {
    proxy.set({ drop: true }, "toClient");
    await sleep(150);
    state.away = away > 0;
    proxy.set({});
    proxy.reset();
    await sleep(away);
    state.away = false;
  };
  const proxy = await FaultProxy.start({
    port: Number(direct.port),
    onData(data, direction, it) {
      if (state.away) return it.reset();
      if (direction !== "toServer" || it.faults.toClient.drop) return;
      state.within ||= data.includes(of);
      if (!state.within || !data.includes("commit") || state.lost >= times) return;
      state.within = false;
      state.lost += 1;
      void lose();
    },
  });
  onTestFinished(() => proxy.close());
  return {
    url: url.replace(`:${direct.port}/`, `:${proxy.port}/`),
    get lost() {
      return state.lost;
    },
  };
}

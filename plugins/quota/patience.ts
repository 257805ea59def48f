import { type Clock, within } from "headgate";

/** Most that a call waits for the database's word: so many turns of so many ms. */
const TURNS = 5;
const TURN_MS = 50;
/** Turns after which it is over even when none of them was on time. */
const MOST_TURNS = 40;

/**
 * The outcome of `work`, or a rejection after a quarter of a second. A turn that ended late does not count: then this process
 * was busy, and the database may have answered long ago.
 */
export async function patiently<T>(clock: Clock, work: Promise<T>): Promise<T> {
  let done = false;
  const end = () => {
    done = true;
  };
  work.then(end, end);
  for (let all = 1, counted = 1; ; all++) {
    const from = clock.monotonic();
    try {
      return await within(clock, TURN_MS, work);
    } catch (error) {
      if (done || counted === TURNS || all === MOST_TURNS) throw error;
      if (clock.monotonic() - from < TURN_MS * 1.5) counted += 1;
    }
  }
}

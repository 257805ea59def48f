import { type Clock, within } from "headgate";

/** Most silence of the database that a call bears: so many turns of so many ms. */
const TURNS = 5;
const TURN_MS = 50;
/** Turns after which it is over, whatever was heard. */
const MOST_TURNS = 40;

/**
 * The outcome of `work`, or a rejection after a quarter of a second in which nothing was heard of the database, or two
 * seconds in all: a database that is busy gets time to say no, one that is away does not. `heardAt`: when it last spoke, in
 * monotonic ms. A turn that ended late does not count; then this process was busy, and the answer may be here long ago.
 */
export async function patiently<T>(clock: Clock, heardAt: () => number, work: Promise<T>): Promise<T> {
  let done = false;
  const end = () => {
    done = true;
  };
  work.then(end, end);
  for (let all = 1, silent = 0; ; all++) {
    const from = clock.monotonic();
    try {
      return await within(clock, TURN_MS, work);
    } catch (error) {
      if (heardAt() >= from) silent = 0;
      else if (clock.monotonic() - from < TURN_MS * 1.5) silent += 1;
      if (done || silent === TURNS || all === MOST_TURNS) throw error;
    }
  }
}

import { type Clock, within } from "headgate";

/** Most that a call waits for the database's word, in ms: so many times this long. */
const TURNS = 5;
const TURN_MS = 50;

/** The outcome of `work`, or a rejection after a quarter of a second in which this process was awake: its own stalls are no outage. */
export async function patiently<T>(clock: Clock, work: Promise<T>): Promise<T> {
  let done = false;
  const end = () => {
    done = true;
  };
  work.then(end, end);
  for (let turn = 1; turn < TURNS; turn++) {
    try {
      return await within(clock, TURN_MS, work);
    } catch (error) {
      if (done) throw error;
    }
  }
  return within(clock, TURN_MS, work);
}

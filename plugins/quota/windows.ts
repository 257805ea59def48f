import { Temporal } from "temporal-polyfill";
import type { Window } from "./limit-text.ts";

/** A stretch of time in epoch ms, its end not part of it. `once` begins at 0 and has no end. */
export interface Span {
  readonly start: number;
  readonly end: number | null;
}

const ALWAYS: Span = { start: 0, end: null };

/** Finds the window that a moment is in, by the calendar of a time zone; days on which clocks change are as long as they are. */
export class Calendar {
  readonly #zone: string;
  readonly #current = new Map<Window, Span>();

  constructor(zone: string) {
    this.#zone = zone;
  }

  /** `at` in epoch ms. */
  span(window: Window, at: number): Span {
    if (window === "once") return ALWAYS;
    const known = this.#current.get(window);
    if (known && at >= known.start && at < (known.end as number)) return known;
    const today = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(this.#zone).toPlainDate();
    const first = window === "day" ? today : window === "week" ? today.subtract({ days: today.dayOfWeek - 1 }) : today.with({ day: 1 });
    const span = { start: this.#midnight(first), end: this.#midnight(first.add({ [`${window}s`]: 1 })) };
    this.#current.set(window, span);
    return span;
  }

  /** When a day begins: not always at 0:00, where clocks are put forward at midnight. */
  #midnight(date: Temporal.PlainDate): number {
    return date.toZonedDateTime(this.#zone).epochMilliseconds;
  }
}

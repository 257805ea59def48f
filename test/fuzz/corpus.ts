import type { FuzzedRequest } from "./requests.ts";

/** Requests that once got a wrong answer, by what was wrong. */
export const CORPUS: Readonly<Record<string, FuzzedRequest>> = {};

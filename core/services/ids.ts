import { randomUUID } from "node:crypto";
import { token } from "../di.ts";

/** Unguessable identifiers such as `req_5f0c…`. */
export interface Ids {
  next(prefix: string): string;
}

export const Ids = token<Ids>("ids", () => ({ next: (prefix) => `${prefix}_${randomUUID().replaceAll("-", "")}` }));

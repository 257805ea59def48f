import { token } from "../di.ts";
import type { Role } from "../exchange.ts";

/** Who the users are that events and tables name by id alone. */
export interface Directory {
  /** Undefined for somebody it does not know. Rejects, as a database does, while it cannot look. */
  user(id: string): Promise<DirectoryUser | undefined>;
}

export interface DirectoryUser {
  /** Null where none is known. */
  readonly email: string | null;
  readonly name: string;
  /** Name of a plan, as in `Caller`. */
  readonly plan: string;
  readonly role: Role;
}

/** Knows nobody, until a plugin that keeps users provides it. */
export const Directory = token<Directory>("directory", () => ({ user: async () => undefined }));

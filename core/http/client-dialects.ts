import type { Dialect } from "../dialects/dialect.ts";
import { DIALECTS } from "../dialects/index.ts";

/** A dialect that clients can speak. */
export type ClientSide = Dialect & { readonly client: NonNullable<Dialect["client"]> };

export const CLIENT_DIALECTS: readonly ClientSide[] = [...DIALECTS.values()].filter(
  (dialect): dialect is ClientSide => dialect.client !== undefined,
);

/** Whose errors to speak on a path; the first dialect's where nobody's route begins it. */
export function dialectOf(path: string): ClientSide {
  const owner = CLIENT_DIALECTS.find(({ client }) => client.routes.some((route) => path.startsWith(route.path)));
  return owner ?? (CLIENT_DIALECTS[0] as ClientSide);
}

import { z } from "zod";

/** There is nothing to choose: what may be left out of a trail is no trail. */
export const AuditOptions = z.strictObject({});

import { secret } from "headgate";
import { z } from "zod";
import { KINDS } from "./alert.ts";
import { parseCondition } from "./conditions.ts";
import { unknownPlaceholder } from "./words.ts";

/** What a channel tells of: what people may use, the gateway's own health, or both. */
const about = z.array(z.enum(["usage", "health"]));

/** A URL that says more than others should see; checked at boot, and never shown. */
const secretUrl = (protocols: readonly string[]) =>
  secret()
    .refine((value) => protocols.includes(URL.parse(value.reveal())?.protocol ?? ""))
    .meta({ title: `a URL that begins with ${protocols.join("// or ")}//` });

const percent = z.int().min(1).max(100);

const template = z.string().superRefine((text, context) => {
  const unknown = unknownPlaceholder(text);
  if (unknown !== undefined) context.addIssue({ code: "custom", message: `a template without {{${unknown}}}, which is no placeholder` });
});

const condition = z.string().superRefine((text, context) => {
  const parsed = parseCondition(text);
  if (typeof parsed === "string") context.addIssue({ code: "custom", message: `a condition; ${parsed}` });
});

export const AlertsOptions = z.strictObject({
  usage: z
    .strictObject({
      /** Percents of a quota at which its user is told; a user's own thresholds win. Empty tells nobody who has none of their own. */
      thresholds: z.array(percent).max(10).default([80, 95]),
      /** Whether the first refusal of a window is told. */
      blocked: z.boolean().default(true),
      /** Whether those who were warned are told that a new window has begun. */
      reset: z.boolean().default(true),
    })
    .prefault({}),
  /** Conditions on the calls of the last minutes (see the README), and `breaker_open`. Empty watches nothing. */
  health: z.array(condition).max(20).default(["error_rate > 0.05", "breaker_open"]),
  /** Mail over SMTP. */
  email: z
    .strictObject({
      /** `smtp://user:password@host:587`, or `smtps://` for TLS from the first byte. */
      url: secretUrl(["smtp:", "smtps:"]),
      /** The sender. */
      from: z.string().min(3),
      /** Addresses that are told of everything in `about`. */
      to: z.array(z.email()).max(50).default([]),
      /** Whether users are told of their own usage, at the address that the auth plugin knows. */
      toUser: z.boolean().default(true),
      /** What the addresses in `to` are told of. */
      about: about.default(["usage", "health"]),
      /** Mails in place of ours, by kind of alert. */
      templates: z.partialRecord(z.enum(KINDS), z.strictObject({ subject: template, text: template, html: template })).default({}),
    })
    .optional(),
  /** Messages in a Slack channel. */
  slack: z
    .strictObject({
      /** The incoming webhook's URL, which is a secret in itself. */
      url: secretUrl(["http:", "https:"]),
      /** What Slack is told of. */
      about: about.default(["usage", "health"]),
    })
    .optional(),
  /** Incidents by PagerDuty's Events API v2. */
  pagerduty: z
    .strictObject({
      /** The integration key of an Events API v2 integration. */
      routingKey: secret(),
      /** Where events go; accounts in the EU have a host of their own. */
      url: z.url({ protocol: /^https?$/ }).default("https://events.pagerduty.com/v2/enqueue"),
      /** What PagerDuty is told of; by default of nobody's usage, since that wakes people. */
      about: about.default(["health"]),
    })
    .optional(),
  /** Signed JSON to URLs of your own. */
  webhooks: z
    .array(
      z.strictObject({
        /** Names it in logs, metrics and the outbox: `webhook:<name>`. */
        name: z.string().regex(/^[a-z0-9-]{1,40}$/),
        /** Gets a POST for each alert. */
        url: secretUrl(["http:", "https:"]),
        /** Signs what is sent. */
        secret: secret(),
        /** What it is told of. */
        about: about.default(["usage", "health"]),
      }),
    )
    .max(20)
    .default([]),
});

export type AlertsOptions = z.output<typeof AlertsOptions>;

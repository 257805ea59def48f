import { type Clock, type Directory, type Secret, within } from "headgate";
import type { Transporter } from "nodemailer";
import { type Alert, type Kind, type Topic, topicOf } from "../alert.ts";
import { mail, type Template } from "../words.ts";
import { audience, type Channel, type Delivery, DeliveryError } from "./channel.ts";

export interface EmailOptions {
  readonly url: Secret;
  readonly from: string;
  readonly to: readonly string[];
  readonly toUser: boolean;
  readonly about: readonly Topic[];
  readonly templates: Readonly<Partial<Record<Kind, Template>>>;
}

/** Limits for one mail, in ms: each step, and all of them together. */
const STEP_MS = 10_000;
const DEADLINE_MS = 30_000;

/** One mailbox, and nothing that a mail header or server could read as more than one. */
const MAILBOX = /^[^\s@<>()[\]\\,;:"\p{Cc}]+@[^\s@<>()[\]\\,;:"\p{Cc}]+$/u;

/** Mail over SMTP: to the list of the config, and to the user whom it is about. */
export function email(options: EmailOptions, directory: Directory, clock: Clock): Channel {
  let transport: Transporter | undefined;

  /** Loaded when first needed: most of what it can do is of no use to a gateway that sends no mail. */
  async function open(): Promise<Transporter> {
    const { createTransport } = await import("nodemailer");
    const limits = { connectionTimeout: STEP_MS, greetingTimeout: STEP_MS, socketTimeout: STEP_MS, dnsTimeout: STEP_MS };
    transport ??= createTransport({ url: options.url.reveal(), ...limits, disableFileAccess: true, disableUrlAccess: true });
    return transport;
  }

  async function addressed({ alert, recipient }: Delivery): Promise<{ to: string[]; alert: Alert }> {
    const user = alert.user === null ? undefined : await directory.user(alert.user).catch(() => undefined);
    const named = (name: string | null | undefined) => (name ? { ...alert, facts: { ...alert.facts, name } } : alert);
    if (recipient === "") return { to: [...options.to], alert: named(user?.email ?? user?.name) };
    // Not known, or not to be looked up now.
    if (!user) throw new DeliveryError("message", "the user is not known");
    if (!user.email || !MAILBOX.test(user.email)) throw new DeliveryError("never", "no e-mail address is known");
    return { to: [user.email], alert: named(user.name) };
  }

  return {
    name: "email",
    recipients(alert) {
      const topic = topicOf(alert.kind);
      const list = options.to.length === 0 ? [] : alert.kind === "test" ? [""] : audience(options.about, topic);
      return options.toUser && alert.user !== null && topic === "usage" ? [...list, alert.user] : list;
    },
    async deliver(delivery) {
      const { to, alert } = await addressed(delivery);
      // Objects, so that no text is taken apart into several addresses.
      const addresses = to.map((address) => ({ address, name: "" }));
      const reader = delivery.recipient === "" ? "operators" : "user";
      const transporter = await open();
      const sending = transporter.sendMail({
        from: options.from,
        to: addresses,
        ...mail(alert, reader, options.templates[alert.kind]),
        messageId: `<${delivery.id}@headgate>`,
        headers: { "auto-submitted": "auto-generated" },
      });
      await within(clock, DEADLINE_MS, sending).catch((error: SmtpError) => {
        throw new DeliveryError(verdict(error), reason(error));
      });
    },
    close: () => transport?.close(),
  };
}

interface SmtpError extends Error {
  readonly code?: string;
  readonly responseCode?: number;
  readonly command?: string;
}

/** RFC 5321, 4.2.1: 5xx is for good. Only where it was said of the mail or its recipient; a refused login or sender is the channel's. */
function verdict({ code, command, responseCode = 0 }: SmtpError): DeliveryError["about"] {
  if ((code !== "EENVELOPE" && code !== "EMESSAGE") || command === "MAIL FROM") return "channel";
  return responseCode >= 500 ? "never" : "message";
}

const REASONS: Readonly<Record<string, string>> = {
  EAUTH: "the mail server refused the login",
  ECONNECTION: "the mail server could not be reached",
  EDNS: "the mail server's name could not be looked up",
  ESOCKET: "the mail server could not be reached",
  ETIMEDOUT: "the mail server did not answer in time",
  ETLS: "no safe connection to the mail server",
};

/** A server's words may quote an address or more; its codes say enough. */
function reason({ code = "", responseCode, message }: SmtpError): string {
  if (REASONS[code]) return REASONS[code];
  return responseCode ? `the mail server answered ${responseCode}` : code || message;
}

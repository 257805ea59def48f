import { type Alert, FACTS, type Kind } from "./alert.ts";

/** A mail's parts, with facts in double braces: `{{percent}}`. */
export interface Template {
  readonly subject: string;
  readonly text: string;
  /** The facts are escaped in it; the template itself is trusted. */
  readonly html: string;
}

interface Words {
  /** One line that says it all, for people who look after the gateway. */
  readonly headline: string;
  /** The same to the user whom it is about. */
  readonly subject?: string;
  readonly sentences: readonly string[];
}

/** What is said when the config says nothing else. */
const WORDS: Record<Kind, Words> = {
  threshold: {
    headline: "{{percent}}% of the {{window}} quota used: {{name}}",
    subject: "{{percent}}% of your quota is used",
    sentences: [
      "{{percent}}% of the {{window}} quota {{rule}} is used: {{used}} of {{limit}}.",
      "{{remaining}} remain. It starts anew: {{resets}}.",
    ],
  },
  blocked: {
    headline: "Quota used up: {{name}}",
    subject: "Your quota is used up",
    sentences: [
      "The {{window}} quota {{rule}} does not cover a request any more: {{used}} of {{limit}} are used.",
      "It starts anew: {{resets}}.",
    ],
  },
  reset: {
    headline: "Quota available again: {{name}}",
    subject: "Your quota is available again",
    sentences: ["The {{window}} quota {{rule}} has started anew, and covers requests again."],
  },
  firing: { headline: "Firing: {{rule}} {{subject}}", sentences: ["{{rule}} holds since {{at}}.", "Now: {{value}}."] },
  resolved: { headline: "Resolved: {{rule}} {{subject}}", sentences: ["{{rule}}, which held since {{at}}, holds no longer."] },
  test: { headline: "Test alert from Headgate", sentences: ["This is a test. If you can read it, this channel works."] },
};

export function headline(alert: Alert): string {
  return filled(WORDS[alert.kind].headline, alert, plain);
}

export function sentences(alert: Alert): string[] {
  return WORDS[alert.kind].sentences.map((sentence) => filled(sentence, alert, plain));
}

/** A mail for an alert, by a template of the config's own or ours. */
export function mail(alert: Alert, reader: "user" | "operators", template: Template = ours(alert.kind, reader)): Template {
  return {
    subject: filled(template.subject, alert, plain),
    text: filled(template.text, alert, plain),
    html: filled(template.html, alert, escaped),
  };
}

/** A user is spoken to; operators are told whom it is about. */
function ours(kind: Kind, reader: "user" | "operators"): Template {
  const { headline, subject = headline, sentences } = WORDS[kind];
  const lines = reader === "user" ? ["Hello {{name}},", ...sentences] : [headline, ...sentences];
  const paragraphs = lines.map((line) => `<p>${line}</p>`).join("\n");
  return {
    subject: reader === "user" ? subject : headline,
    text: `${lines.join("\n\n")}\n`,
    html: `<!doctype html>\n<html lang="en"><body>\n${paragraphs}\n</body></html>\n`,
  };
}

const PLACEHOLDER = /\{\{([^{}]*)\}\}/g;

/** The first placeholder in a template that is none, if any. */
export function unknownPlaceholder(template: string): string | undefined {
  for (const [, name = ""] of template.matchAll(PLACEHOLDER)) if (!(FACTS as readonly string[]).includes(name.trim())) return name.trim();
  return undefined;
}

/** One pass: what a fact says is not looked through for placeholders. */
function filled(template: string, { facts, rule, subject }: Alert, write: (value: string) => string): string {
  const values: Readonly<Record<string, string | undefined>> = { ...facts, rule, subject, name: facts.name ?? subject };
  return template.replaceAll(PLACEHOLDER, (_, name: string) => write(values[name.trim()] ?? "")).trimEnd();
}

/** A name may hold anything. On one line it can begin no header, and look like no other sentence. */
function plain(value: string): string {
  return value.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ");
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escaped(value: string): string {
  return plain(value).replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}

import { type Alert, FACTS, type Kind } from "./alert.ts";

/** A mail's parts, with facts in double braces: `{{percent}}`. */
export interface Template {
  readonly subject: string;
  readonly text: string;
  /** The facts are escaped in it; the template itself is trusted. */
  readonly html: string;
}

const HELLO = "Hello {{name}},";

/** What is said when the config says nothing else: sentences, which mails set as paragraphs. */
const SENTENCES: Record<Kind, { readonly subject: string; readonly sentences: readonly string[] }> = {
  threshold: {
    subject: "{{percent}}% of your quota is used",
    sentences: [
      "{{percent}}% of the {{window}} quota {{rule}} is used: {{used}} of {{limit}}.",
      "{{remaining}} remain. It starts anew: {{resets}}.",
    ],
  },
  blocked: {
    subject: "Your quota is used up",
    sentences: [
      "The {{window}} quota {{rule}} does not cover any more: {{used}} of {{limit}} are used, and requests are refused.",
      "It starts anew: {{resets}}.",
    ],
  },
  reset: {
    subject: "Your quota is available again",
    sentences: ["The {{window}} quota {{rule}} has started anew. {{limit}} are available.", "It starts anew again: {{resets}}."],
  },
  firing: { subject: "Firing: {{rule}} {{subject}}", sentences: ["{{rule}} holds since {{at}}.", "Now: {{value}}."] },
  resolved: { subject: "Resolved: {{rule}} {{subject}}", sentences: ["{{rule}} no longer holds, since {{at}}."] },
  test: { subject: "Test alert from Headgate", sentences: ["This is a test. If you can read it, this channel works."] },
};

/** What an alert says, in sentences. */
export function sentences({ kind, ...alert }: Alert): string[] {
  return SENTENCES[kind].sentences.map((sentence) => filled(sentence, alert, plain));
}

/** A mail for an alert, by a template of the config's own or ours. */
export function mail(alert: Alert, template: Template = ours(alert.kind)): Template {
  return {
    subject: filled(template.subject, alert, plain),
    text: filled(template.text, alert, plain),
    html: filled(template.html, alert, escaped),
  };
}

function ours(kind: Kind): Template {
  const { subject, sentences } = SENTENCES[kind];
  const lines = kind === "test" || kind === "firing" || kind === "resolved" ? sentences : [HELLO, ...sentences];
  const paragraphs = lines.map((line) => `<p>${line}</p>`).join("\n");
  return { subject, text: `${lines.join("\n\n")}\n`, html: `<!doctype html>\n<html lang="en"><body>\n${paragraphs}\n</body></html>\n` };
}

const PLACEHOLDER = /\{\{([^{}]*)\}\}/g;

/** The first placeholder in a template that is none, if any. */
export function unknownPlaceholder(template: string): string | undefined {
  for (const [, name = ""] of template.matchAll(PLACEHOLDER)) if (!(FACTS as readonly string[]).includes(name.trim())) return name.trim();
  return undefined;
}

/** One pass: what a fact says is not looked through for placeholders. */
function filled(template: string, { facts, rule, subject }: Omit<Alert, "kind">, write: (value: string) => string): string {
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

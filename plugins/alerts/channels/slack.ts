import type { Secret } from "headgate";
import { type Alert, type Topic, topicOf } from "../alert.ts";
import { headline, sentences } from "../words.ts";
import { audience, type Channel } from "./channel.ts";
import type { Post } from "./post.ts";

export interface SlackOptions {
  readonly url: Secret;
  readonly about: readonly Topic[];
}

/** A Slack incoming webhook: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks */
export function slack({ url, about }: SlackOptions, post: Post): Channel {
  return {
    name: "slack",
    recipients: (alert) => (alert.kind === "test" ? [""] : audience(about, topicOf(alert.kind))),
    deliver: ({ alert }) => post(url.reveal(), JSON.stringify({ text: textOf(alert) })),
  };
}

function textOf(alert: Alert): string {
  return `*${escaped(headline(alert))}*\n${escaped(sentences(alert).join("\n"))}`;
}

/** Slack reads these three as its own; what they begin (`<!channel>`, links) must not come from a user's name. */
function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

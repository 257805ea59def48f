import type { Clock, Directory, HttpClient } from "headgate";
import type { AlertsOptions } from "../options.ts";
import type { Channel } from "./channel.ts";
import { email } from "./email.ts";
import { pagerDuty } from "./pagerduty.ts";
import { poster } from "./post.ts";
import { slack } from "./slack.ts";
import { webhook } from "./webhook.ts";

export interface ChannelParts {
  readonly http: HttpClient;
  readonly clock: Clock;
  readonly directory: Directory;
}

/** The channels that the config asks for. */
export function channelsOf(options: AlertsOptions, { http, clock, directory }: ChannelParts): Channel[] {
  const post = poster(http, clock);
  return [
    ...(options.email ? [email(options.email, directory, clock)] : []),
    ...(options.slack ? [slack(options.slack, post)] : []),
    ...(options.pagerduty ? [pagerDuty(options.pagerduty, post)] : []),
    ...options.webhooks.map((each) => webhook(each, post, clock)),
  ];
}

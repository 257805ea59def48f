import type { Alert, Topic } from "../alert.ts";

/** A way to tell people. Knows no queue: it tries once, with a deadline of its own. */
export interface Channel {
  /** `email`, `slack`, `pagerduty`, `webhook:<name>`. */
  readonly name: string;
  /** To whom an alert goes: ids of users, empty for the channel's own audience. */
  recipients(alert: Alert): readonly string[];
  /** Rejects with a DeliveryError. The same delivery may come twice, when nobody could note that it went out. */
  deliver(delivery: Delivery): Promise<void>;
  close?(): void;
}

export interface Delivery {
  /** The same for each try. */
  readonly id: string;
  readonly alert: Alert;
  readonly recipient: string;
}

/**
 * What a failed try says. `channel`: nothing can be delivered there for now. `message`: this one was refused, others may
 * do. `never`: there is no use in trying this one again. The message is shown to operators and holds no secret.
 */
export class DeliveryError extends Error {
  override readonly name = "DeliveryError";
  readonly about: "channel" | "message" | "never";

  constructor(about: DeliveryError["about"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.about = about;
  }
}

/** The recipients of a channel that tells its own audience of some topics. */
export function audience(about: readonly Topic[], topic: Topic): readonly string[] {
  return about.includes(topic) ? [""] : [];
}

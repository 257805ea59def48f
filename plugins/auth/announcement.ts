import { type Announcement, Secret } from "headgate";
import { developmentKey } from "./development-key.ts";

const FIRST_KEY = "headgate keys create --role admin --name first";

/** The development key that the options ask for, if any. Reads and writes `folder`. */
export function chosenDevelopmentKey(option: boolean | Secret, folder: string): string | undefined {
  if (Secret.is(option)) return option.reveal();
  return option ? developmentKey(folder) : undefined;
}

/** What whoever starts the gateway is told: the development key, or how to get a first one. */
export function announcementOf(development: string | undefined, hasKeys: boolean): Announcement {
  if (development !== undefined) {
    return {
      lines: [["development key", `${development}  (from this machine only)`]],
      headers: { authorization: `Bearer ${development}` },
    };
  }
  return hasKeys ? {} : { lines: [["no API key yet", `make the first one: ${FIRST_KEY}`]] };
}

import { defineProvider, secret } from "headgate";
import { z } from "zod";
import { readAnthropicModels } from "./model-list.ts";
import { baseUrl, headers, headersOf, providerName } from "./options.ts";

/** Anthropic's Messages API (https://docs.anthropic.com/en/api/messages). */
export const anthropic = defineProvider({
  name: "anthropic",
  options: z.strictObject({
    name: providerName().default("anthropic"),
    baseUrl: baseUrl().default("https://api.anthropic.com"),
    apiKey: secret(),
    /** Beta features, for instance: `{ "anthropic-beta": "…" }`. */
    headers: headers(),
  }),
  setup: ({ name, baseUrl: address, apiKey, headers: configured }) => ({
    name,
    dialect: "anthropic-messages",
    baseUrl: address,
    priceId: "anthropic",
    headers: headersOf(() => ({ "x-api-key": apiKey.reveal(), "anthropic-version": "2023-06-01" }), configured),
    discovery: { path: "/v1/models?limit=1000", read: readAnthropicModels },
  }),
});

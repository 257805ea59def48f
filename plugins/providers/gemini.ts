import { defineProvider, secret } from "headgate";
import { z } from "zod";
import { readGeminiModels } from "./model-list.ts";
import { baseUrl, headers, headersOf, providerName } from "./options.ts";

/** Google's Gemini API (https://ai.google.dev/api). The key goes in a header, never in the address, where it would be logged. */
export const gemini = defineProvider({
  name: "gemini",
  options: z.strictObject({
    name: providerName().default("gemini"),
    baseUrl: baseUrl().default("https://generativelanguage.googleapis.com/v1beta"),
    apiKey: secret(),
    headers: headers(),
  }),
  setup: ({ name, baseUrl: address, apiKey, headers: configured }) => ({
    name,
    dialect: "gemini",
    baseUrl: address,
    priceId: "google",
    headers: headersOf(() => ({ "x-goog-api-key": apiKey.reveal() }), configured),
    discovery: { path: "/models?pageSize=1000", read: readGeminiModels },
  }),
});

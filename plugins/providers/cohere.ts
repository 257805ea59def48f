import { defineProvider, secret } from "headgate";
import { z } from "zod";
import { readCohereModels } from "./model-list.ts";
import { baseUrl, bearer, headers, headersOf, providerName } from "./options.ts";

/** Cohere's API, version 2 (https://docs.cohere.com/reference/chat). */
export const cohere = defineProvider({
  name: "cohere",
  options: z.strictObject({
    name: providerName().default("cohere"),
    baseUrl: baseUrl().default("https://api.cohere.com"),
    apiKey: secret(),
    headers: headers(),
  }),
  setup: ({ name, baseUrl: address, apiKey, headers: configured }) => ({
    name,
    dialect: "cohere",
    baseUrl: address,
    priceId: "cohere",
    headers: headersOf(bearer(apiKey), configured),
    discovery: { path: "/v1/models?page_size=1000", read: readCohereModels },
  }),
});

import { defineProvider, type Operation, type Provider, secret } from "headgate";
import { z } from "zod";
import { baseUrl, headers, headersOf, providerName } from "./options.ts";
import { reasoningLimitIsMaxCompletionTokens } from "./quirks.ts";

const PATHS: Partial<Record<Operation, string>> = { chat: "chat/completions", embeddings: "embeddings" };

/**
 * OpenAI's models on Azure (https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle). Models are named by
 * their deployments: `azure/my-deployment`. Azure lists the models it could deploy and not the deployments, so there is
 * nothing to discover.
 */
export const azure = defineProvider({
  name: "azure",
  options: z.strictObject({
    name: providerName().default("azure"),
    /** The resource, such as `https://my-resource.openai.azure.com`. */
    baseUrl: baseUrl(),
    apiKey: secret(),
    /** Such as `2024-10-21`; turns to the older API, with deployments in the path. The v1 API, without versions, by default. */
    apiVersion: z
      .string()
      .regex(/^[\w-]+$/)
      .meta({ title: "an API version such as 2024-10-21" })
      .optional(),
    headers: headers(),
  }),
  setup({ name, baseUrl: address, apiKey, apiVersion, headers: configured }): Provider {
    const resource = `${address.replace(/\/openai(?:\/v1)?$/, "")}/openai`;
    return {
      name,
      dialect: "openai-chat",
      baseUrl: apiVersion === undefined ? `${resource}/v1` : resource,
      priceId: "azure",
      headers: headersOf(() => ({ "api-key": apiKey.reveal() }), configured),
      adapt: (operation, body) => (operation === "chat" ? reasoningLimitIsMaxCompletionTokens(body) : body),
      ...(apiVersion !== undefined && {
        path(operation: Operation, model: string) {
          const path = PATHS[operation];
          return path === undefined ? null : `/deployments/${encodeURIComponent(model)}/${path}?api-version=${apiVersion}`;
        },
      }),
    };
  },
});

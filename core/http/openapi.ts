import { z } from "zod";
import { ERRORS } from "../errors.ts";
import { VERSION } from "../version.ts";
import type { Access, ApiRoute } from "./api.ts";

type Schema = z.core.JSONSchema.BaseSchema;

/** Who may call a route, in words. */
export const ACCESS_WORDS: Readonly<Record<Access, string>> = {
  public: "anyone",
  operator: "a viewer or above, or a caller on the gateway's own machine",
  user: "any authenticated caller",
  viewer: "a viewer, a manager or an admin",
  manager: "a manager or an admin",
  admin: "an admin",
};

const BEARER_OR_KEY = [{ bearer: [] }, { apiKey: [] }];

const ERROR_SCHEMA = {
  type: "object",
  properties: {
    error: {
      type: "object",
      properties: {
        message: { type: "string" },
        type: { type: "string" },
        param: { type: ["string", "null"], description: "The field at fault." },
        code: { enum: Object.keys(ERRORS) },
      },
      required: ["message", "type", "param", "code"],
    },
  },
  required: ["error"],
};

const IDEMPOTENCY_KEY = {
  name: "idempotency-key",
  in: "header",
  required: false,
  description: "A text of your own: the write is done once, however often it is sent with the same one within 24 hours.",
  schema: { type: "string", minLength: 1, maxLength: 255 },
};

/** The routes that stand in the documentation: the first of each method and path, in the order of their paths. */
export function documented(routes: readonly ApiRoute[]): ApiRoute[] {
  const shown = new Map<string, ApiRoute>();
  for (const route of routes) {
    const name = `${route.path} ${route.method}`;
    if (route.summary !== undefined && !shown.has(name)) shown.set(name, route);
  }
  return [...shown].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, route]) => route);
}

/** What the last part of a group's paths is called: `keys` of `/api/keys/:id/rotate`, `health` of `/health/ready`. */
export function groupOf({ path }: Pick<ApiRoute, "path">): string {
  const [first = "", second] = path.split("/").filter(Boolean);
  if (path.endsWith("/health")) return "health";
  return first === "api" && second !== undefined ? second.replace(/\.\w+$/, "") : first;
}

/** Names of the parameters in a path. */
export function pathParams({ path }: Pick<ApiRoute, "path">): string[] {
  return Array.from(path.matchAll(/:(\w+)/g), ([, name]) => name as string);
}

/** A schema as JSON Schema 2020-12, as a client has to send it or gets it. */
export function jsonSchema(schema: z.ZodType, io: "input" | "output"): Schema {
  const { $schema: _, ...shape } = z.toJSONSchema(schema, { target: "draft-2020-12", io, unrepresentable: "any" }) as Schema & object;
  return shape;
}

/** The OpenAPI 3.1 description of the documented routes. */
export function openApiDocument(routes: readonly ApiRoute[]) {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of documented(routes)) {
    const path = route.path.replace(/:(\w+)/g, "{$1}");
    paths[path] ??= {};
    paths[path][route.method.toLowerCase()] = operation(route);
  }
  return {
    openapi: "3.1.1",
    jsonSchemaDialect: "https://json-schema.org/draft/2020-12/schema",
    info: {
      title: "Headgate control plane",
      version: VERSION,
      description:
        "What administers the gateway. The data plane under /v1 speaks the APIs of OpenAI and Anthropic, whose own descriptions hold.",
    },
    tags: [...new Set(documented(routes).map(groupOf))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", description: "An API key or a token." },
        apiKey: { type: "apiKey", in: "header", name: "x-api-key" },
      },
      schemas: { Error: ERROR_SCHEMA },
      responses: {
        Error: { description: "What was wrong.", content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } } },
      },
    },
  };
}

function operation(route: ApiRoute): object {
  const { method, access, summary, query, body, reply } = route;
  const open = access === "public" || access === "operator";
  const name = [method.toLowerCase(), ...route.path.split(/[^\w]+/).filter(Boolean)].join("_");
  return {
    operationId: name,
    tags: [groupOf(route)],
    summary,
    description: `For ${ACCESS_WORDS[access]}.`,
    "x-headgate-access": access,
    security: open ? [{}, ...(access === "public" ? [] : BEARER_OR_KEY)] : BEARER_OR_KEY,
    parameters: [
      ...pathParams(route).map((param) => ({ name: param, in: "path", required: true, schema: { type: "string", maxLength: 200 } })),
      ...queryParams(query),
      ...(method === "GET" ? [] : [IDEMPOTENCY_KEY]),
    ],
    ...(body && {
      requestBody: {
        required: !body.safeParse({}).success,
        content: { "application/json": { schema: jsonSchema(body, "input") } },
      },
    }),
    responses: {
      "2XX": { description: "Done.", ...(reply && { content: { "application/json": { schema: jsonSchema(reply, "output") } } }) },
      default: { $ref: "#/components/responses/Error" },
    },
  };
}

function queryParams(query: z.ZodObject | undefined): object[] {
  if (!query) return [];
  const { properties = {}, required = [] } = jsonSchema(query, "input");
  return Object.entries(properties).map(([name, shape]) => {
    const { description, ...schema } = shape as Schema;
    return { name, in: "query", required: required.includes(name), ...(description && { description }), schema };
  });
}

import { Ajv2020 } from "ajv/dist/2020.js";
import * as plugins from "headgate/plugins";
import { simulator } from "headgate/providers";
import { startGateway, type TestGateway } from "headgate/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectError } from "../support/error-body.ts";

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly security: readonly Record<string, readonly string[]>[];
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly required: boolean; readonly schema: object }[];
  readonly requestBody?: { readonly content: { readonly "application/json": { readonly schema: object } } };
  readonly responses: Readonly<
    Record<string, { readonly $ref?: string; readonly content?: Readonly<Record<string, { readonly schema: object }>> }>
  >;
  readonly "x-headgate-access": string;
}

interface Description {
  readonly openapi: string;
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: Readonly<Record<"schemas" | "responses" | "securitySchemes", Readonly<Record<string, object>>>>;
}

let gateway: TestGateway;
let description: Description;
let operations: [name: string, operation: Operation][];
beforeAll(async () => {
  const chain = [plugins.metrics(), plugins.auth(), plugins.alerts()];
  gateway = await startGateway({ database: "sqlite::memory:", providers: [simulator()], plugins: chain });
  description = (await (await fetch(`${gateway.url}/api/openapi.json`)).json()) as Description;
  operations = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, Operation] => [`${method.toUpperCase()} ${path}`, operation]),
  );
});
afterAll(() => gateway.stop());

describe("the OpenAPI description", () => {
  it("is 3.1, and knows every documented route", () => {
    expect(description.openapi).toMatch(/^3\.1\./);
    expect(operations.map(([name]) => name)).toEqual(
      expect.arrayContaining(["GET /api/models", "GET /health", "POST /api/keys", "POST /api/keys/{id}/rotate", "GET /api/alerts"]),
    );
  });

  it("has one name, a known tag and a known access for every operation", () => {
    const names = operations.map(([, { operationId }]) => operationId);
    expect(new Set(names).size).toBe(names.length);
    const tags = description.tags.map(({ name }) => name);
    for (const [name, operation] of operations) {
      expect(tags, name).toEqual(expect.arrayContaining([...operation.tags]));
      expect(["public", "operator", "user", "viewer", "manager", "admin"], name).toContain(operation["x-headgate-access"]);
      expect(operation.summary, name).not.toBe("");
    }
  });

  it("declares exactly the parameters that are in a path", () => {
    for (const [name, { parameters }] of operations) {
      const inPath = parameters.filter((parameter) => parameter.in === "path");
      expect(inPath.every(({ required }) => required)).toBe(true);
      expect(inPath.map((parameter) => parameter.name)).toEqual(Array.from(name.matchAll(/\{(\w+)\}/g), ([, param]) => param));
      const keys = parameters.map((parameter) => `${parameter.in} ${parameter.name}`);
      expect(new Set(keys).size, name).toBe(keys.length);
    }
  });

  it("asks for a credential wherever the gateway does", async () => {
    const schemes = Object.keys(description.components.securitySchemes);
    for (const [name, { security }] of operations) {
      expect(schemes).toEqual(expect.arrayContaining(security.flatMap((one) => Object.keys(one))));
      const [method, path = ""] = name.split(" ");
      const { status } = await fetch(gateway.url + path.replace(/\{\w+\}/g, "x"), { method: method as string });
      const free = security.some((one) => Object.keys(one).length === 0);
      expect(status === 401, `${name}: ${status}`).toBe(!free);
    }
  });

  it("holds only schemas that are valid, and references that lead somewhere", () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    const found: [where: string, schema: object][] = Object.entries(description.components.schemas);
    for (const [name, { parameters, requestBody, responses }] of operations) {
      for (const parameter of parameters) found.push([`${name} ${parameter.name}`, parameter.schema]);
      if (requestBody) found.push([`${name} body`, requestBody.content["application/json"].schema]);
      for (const response of Object.values(responses)) {
        if (response.$ref !== undefined) {
          const [, , kind, key] = response.$ref.split("/");
          expect(description.components[kind as "responses"]?.[key as string]).toBeDefined();
        }
        for (const { schema } of Object.values(response.content ?? {})) found.push([`${name} answer`, schema]);
      }
    }
    expect(found.length).toBeGreaterThan(20);
    for (const [where, schema] of found) expect(() => ajv.compile(schema), where).not.toThrow();
  });

  it("says of errors what they are", async () => {
    const response = await fetch(`${gateway.url}/api/keys`);
    const answer = { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() };
    expectError(answer, "openai");
    const validate = new Ajv2020({ strict: false }).compile(description.components.schemas.Error as object);
    expect(validate(JSON.parse(answer.body)), JSON.stringify(validate.errors)).toBe(true);
  });
});

describe("the page for people", () => {
  it("shows every documented route, and needs nothing from elsewhere", async () => {
    const response = await fetch(`${gateway.url}/docs`);
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(response.headers.get("content-security-policy")).toContain("script-src 'self'");
    const page = await response.text();
    for (const [, { summary }] of operations) expect(page).toContain(summary.replace(/['"&<>]/g, (each) => `&#${each.charCodeAt(0)};`));
    expect(page).not.toMatch(/<script|<link|<img|https?:\/\//);
    const anchors = Array.from(page.matchAll(/href="#([^"]+)"/g), ([, id]) => id);
    expect(anchors.length).toBeGreaterThan(operations.length);
    for (const id of anchors) expect(page).toContain(`id="${id}"`);
  });
});

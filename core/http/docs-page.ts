import { describeShape, isShape, type Shape } from "../config/describe.ts";
import { VERSION } from "../version.ts";
import type { ApiRoute } from "./api.ts";
import { DOCS_STYLE } from "./docs-style.ts";
import { Html, html } from "./html.ts";
import { ACCESS_WORDS, documented, groupOf, jsonSchema, pathParams } from "./openapi.ts";

interface Field {
  readonly name: string;
  readonly place: "path" | "query" | "body";
  readonly shape: Shape;
  readonly required: boolean;
}

/** One page of HTML, complete in itself, that describes the documented routes to people. */
export function docsPage(routes: readonly ApiRoute[]): string {
  const groups = Map.groupBy(documented(routes), groupOf);
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Headgate API</title>
<style>${new Html(DOCS_STYLE)}</style>
</head>
<body>
<nav>
<a class="brand" href="#top">Headgate</a>
${[...groups].map(
  ([name, members]) => html`<details open><summary>${name}</summary>
${members.map((route) => html`<a href="#${anchor(route)}">${badge(route)}<span>${route.summary}</span></a>\n`)}</details>
`,
)}</nav>
<main id="top">
<header>
<h1>Control plane</h1>
<p>What administers this gateway, version ${VERSION}. For programs, the same is at <a href="/api/openapi.json">/api/openapi.json</a>; applications
talk to <code>/v1</code>, which speaks the APIs of OpenAI and Anthropic.</p>
<p>Send a key as <code>authorization: Bearer …</code> or <code>x-api-key: …</code>. Errors are
<code>{"error":{"message","type","param","code"}}</code>. A write with an <code>idempotency-key</code> is done once, however often it is sent.
Lists come newest first; <code>next_cursor</code> of one page is the <code>cursor</code> of the next. Every route with a command can also be called
as <code>headgate …</code> on the gateway's own machine.</p>
</header>
${[...groups].map(([name, members]) => html`<section id="${name}">\n<h2>${name}</h2>\n${members.map(article)}</section>\n`)}</main>
</body>
</html>
`;
  return page.text;
}

function article(route: ApiRoute): Html {
  const fields = fieldsOf(route);
  const answer = route.reply && jsonSchema(route.reply, "output");
  return html`<article id="${anchor(route)}">
<h3>${badge(route)}<code>${path(route)}</code></h3>
<p>${route.summary}</p>
<p class="access"><b>${route.access}</b> ${ACCESS_WORDS[route.access]}</p>
${fields.length > 0 ? fieldTable(fields) : undefined}
${answer && Object.keys(answer.properties ?? {}).length > 0 ? html`<p class="answer">Answers with ${names(answer)}.</p>\n` : undefined}
<pre>${curl(route, fields)}</pre>
${route.command === undefined ? undefined : html`<pre>${command(route, fields)}</pre>\n`}</article>
`;
}

function fieldTable(fields: readonly Field[]): Html {
  const row = ({ name, place, shape, required }: Field) => {
    const fallback = shape.default === undefined ? undefined : html` <i>default ${JSON.stringify(shape.default)}</i>`;
    const takes = describeShape(shape) ?? "anything";
    return html`<tr><td><code>${name}</code>${required ? html`<b title="required">*</b>` : undefined}</td><td>${place}</td><td>${takes}${fallback}${
      shape.description === undefined ? undefined : html`<br>${shape.description}`
    }</td></tr>\n`;
  };
  return html`<div class="wide"><table>
<thead><tr><th>name</th><th>in</th><th>takes</th></tr></thead>
<tbody>
${fields.map(row)}</tbody>
</table></div>`;
}

function fieldsOf(route: ApiRoute): Field[] {
  const own = (place: "query" | "body", schema: ApiRoute["query"]): Field[] => {
    const { properties = {}, required = [] } = schema ? jsonSchema(schema, "input") : {};
    return Object.entries(properties).flatMap(([name, shape]) =>
      isShape(shape) ? [{ name, place, shape, required: required.includes(name) }] : [],
    );
  };
  const inPath = pathParams(route).map((name): Field => ({ name, place: "path", shape: { type: "string" }, required: true }));
  return [...inPath, ...own("query", route.query), ...own("body", route.body)];
}

function names(answer: Shape): Html[] {
  return Object.keys(answer.properties ?? {}).map((name, index) => html`${index > 0 ? ", " : ""}<code>${name}</code>`);
}

/** A call to paste, with what is required filled in. */
function curl(route: ApiRoute, fields: readonly Field[]): string {
  const body = Object.fromEntries(
    fields.filter(({ place, required }) => place === "body" && required).map(({ name, shape }) => [name, sample(shape)]),
  );
  const query = fields.filter(({ place, required }) => place === "query" && required).map(({ name, shape }) => `${name}=${sample(shape)}`);
  const url = `"$HEADGATE${route.path.replace(/:(\w+)/g, "<$1>")}${query.length > 0 ? `?${query.join("&")}` : ""}"`;
  const lines = [
    `curl ${route.method === "GET" ? "" : `-X ${route.method} `}${url}`,
    ...(route.access === "public" ? [] : ['-H "authorization: Bearer $HEADGATE_KEY"']),
    ...(route.body ? ["-H 'content-type: application/json'", `-d '${JSON.stringify(body)}'`] : []),
  ];
  return lines.join(" \\\n  ");
}

function command(route: ApiRoute, fields: readonly Field[]): string {
  const words = fields
    .filter(({ required }) => required)
    .map(({ name, place, shape }) => {
      return place === "path" ? `<${name}>` : `--${name.replaceAll("_", "-")} ${[sample(shape)].flat().join(",")}`;
    });
  return ["headgate", route.command, ...words].join(" ");
}

/** Something that a shape takes. */
function sample(shape: Shape): unknown {
  if (shape.default !== undefined) return shape.default;
  if (shape.const !== undefined) return shape.const;
  if (shape.enum) return shape.enum[0];
  const [first] = [...(shape.anyOf ?? []), ...(shape.oneOf ?? [])].filter(isShape);
  if (first) return sample(first);
  switch (shape.type) {
    case "integer":
    case "number":
      return shape.minimum !== undefined && shape.minimum > 0 ? shape.minimum : 1;
    case "boolean":
      return true;
    case "array":
      return isShape(shape.items) ? [sample(shape.items)] : [];
    case "object":
      return {};
    default:
      return shape.format === "email" ? "ann@example.com" : "…";
  }
}

function badge({ method }: ApiRoute): Html {
  return html`<em class="${method.toLowerCase()}">${method}</em>`;
}

/** The path, its parameters marked. */
function path(route: ApiRoute): Html[] {
  return route.path.split(/(:\w+)/).map((part) => (part.startsWith(":") ? html`<i>${part}</i>` : html`${part}`));
}

function anchor({ method, path: text }: ApiRoute): string {
  return `${method}-${text}`.toLowerCase().replace(/[^a-z0-9]+/g, "-");
}

import { createRequire, type ResolveFnOutput, type ResolveHookContext, registerHooks } from "node:module";
import { dirname, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { createJiti } from "jiti";
import { CACHE_FOLDER } from "./cache.ts";

const JITI_FOLDER = dirname(import.meta.resolve("jiti"));

/** `headgate`, `headgate/plugins`, …, resolved as this package resolves itself, whether it runs from source or from dist. */
const ownPackage: Record<string, unknown> = new Proxy(Object.create(null), {
  has: (_, name) => typeof name === "string" && isOwn(name),
  // A promise, because jiti waits for whatever an import gives; so only what is imported is loaded.
  get: (_, name) => import(String(name)),
});

function isOwn(name: string): boolean {
  return name === "headgate" || name.startsWith("headgate/");
}

const { cache: commonJs } = createRequire(import.meta.url);
let loads = 0;
let tell: ((file: string) => void) | undefined;

/**
 * Imports a file of the user's, TypeScript or JavaScript, anew each time, and anew every local file that it imports.
 * `headgate` and its subpaths always are the running package's own modules, wherever the file lies. `onFile` is told
 * each local file that is read, at the price of the cache.
 */
export function importFresh(file: string, onFile?: (file: string) => void): Promise<Record<string, unknown>> {
  if (loads++ === 0) registerHooks({ resolve });
  tell = onFile;
  for (const path of Object.keys(commonJs)) if (!path.includes(`${sep}node_modules${sep}`)) delete commonJs[path];
  const options = { moduleCache: false, fsCache: onFile ? false : CACHE_FOLDER, virtualModules: ownPackage };
  const jiti = createJiti(file, options);
  if (!onFile) return jiti.import(file);
  const transform = (source: Parameters<typeof jiti.transform>[0]) => {
    onFile(source.filename ?? file);
    return { code: jiti.transform(source) };
  };
  return createJiti(file, { ...options, transform }).import(file);
}

/** What jiti leaves to Node (plain ES modules, installed packages) gets the same two promises by way of Node's own resolver. */
function resolve(name: string, context: ResolveHookContext, next: (name: string, context: ResolveHookContext) => ResolveFnOutput) {
  if (isOwn(name)) return next(name, { ...context, parentURL: import.meta.url });
  const resolved = next(name, context);
  const { parentURL = "" } = context;
  const ofConfig = parentURL.startsWith(JITI_FOLDER) || parentURL.includes("?load=");
  if (!ofConfig || !resolved.url.startsWith("file:") || resolved.url.includes("/node_modules/")) return resolved;
  tell?.(fileURLToPath(resolved.url));
  // Node keeps a module for good under its URL, so a new load needs new URLs. CommonJS goes by path, and is emptied above.
  return context.conditions.includes("require") ? resolved : { ...resolved, url: `${resolved.url}?load=${loads}` };
}

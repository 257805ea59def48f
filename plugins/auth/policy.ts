import ipaddr from "ipaddr.js";

/** What a key may be used for, as it is kept: null for no restriction. */
export interface Restrictions {
  readonly models: readonly string[] | null;
  readonly routes: readonly string[] | null;
  readonly ips: readonly string[] | null;
}

export interface Policy {
  readonly restrictions: Restrictions;
  readonly ranges: readonly Range[] | null;
  /** Whether it works from this machine only. */
  readonly loopback: boolean;
}

type Range = readonly [address: ipaddr.IPv4 | ipaddr.IPv6, bits: number];
type Headers = Readonly<Record<string, string | string[] | undefined>>;

interface Place {
  readonly provider: string;
  readonly model: string;
}

/** Undefined when nothing is restricted, so that nothing is checked. */
export function policyOf(restrictions: Restrictions, loopback = false): Policy | undefined {
  const { models, routes, ips } = restrictions;
  if (!models && !routes && !ips && !loopback) return undefined;
  return { restrictions, ranges: ips?.map((text) => parseRange(text) as Range) ?? null, loopback };
}

/** An address or a CIDR range such as `10.0.0.0/8`; undefined when it is neither. IPv4 in IPv6 is taken as IPv4. */
export function parseRange(text: string): Range | undefined {
  // Not the shorter spellings, hexadecimal and octal, which others read otherwise.
  if (ipaddr.IPv4.isValidCIDRFourPartDecimal(text) || ipaddr.IPv6.isValidCIDR(text)) return ipaddr.parseCIDR(text);
  if (!ipaddr.IPv4.isValidFourPartDecimal(text) && !ipaddr.IPv6.isValid(text)) return undefined;
  const address = ipaddr.process(text);
  return [address, address.kind() === "ipv4" ? 32 : 128];
}

/** Why this caller's address may not use the key, or undefined. */
export function addressRefusal({ ranges, restrictions, loopback }: Policy, ip: string, headers: Headers): string | undefined {
  if (loopback && !isLoopback(ip, headers)) return "The development key works from this machine only.";
  if (!ranges) return undefined;
  const address = ipaddr.isValid(ip) ? ipaddr.process(ip) : undefined;
  if (address && ranges.some(([range, bits]) => range.kind() === address.kind() && address.match([range, bits] as never))) return undefined;
  return `This key may not be used from this address; it may from ${listed(restrictions.ips)}.`;
}

/** Why the key may not be used for this, or undefined. */
export function routeRefusal({ restrictions: { routes } }: Policy, route: string): string | undefined {
  if (!routes || routes.includes(route)) return undefined;
  return `This key may not be used for ${route}; it may for ${listed(routes)}.`;
}

/**
 * Those of the targets that the key may use: all, when the model was asked for by an alias that is allowed; otherwise those
 * whose `provider/model`, or model alone, is.
 */
export function allowedTargets<T extends Place>({ restrictions: { models } }: Policy, alias: string | undefined, targets: readonly T[]) {
  if (!models || (alias !== undefined && models.some((glob) => matches(glob, alias)))) return targets;
  const allowed = targets.filter(({ provider, model }) =>
    models.some((glob) => matches(glob, `${provider}/${model}`) || matches(glob, model)),
  );
  return allowed.length === targets.length ? targets : allowed;
}

export function modelRefusal({ restrictions: { models } }: Policy): string {
  return `This key may not use that model; it may use ${listed(models)}.`;
}

/** Whether `text` is what `glob` describes, in which `*` stands for any characters. Case counts. Time is at most the product of the lengths. */
export function matches(glob: string, text: string): boolean {
  let at = 0;
  let from = 0;
  let star = -1;
  let retry = 0;
  while (at < text.length) {
    if (glob[from] === "*") {
      star = from++;
      retry = at;
    } else if (glob[from] === text[at]) {
      from++;
      at++;
    } else if (star >= 0) {
      from = star + 1;
      at = ++retry;
    } else return false;
  }
  while (glob[from] === "*") from++;
  return from === glob.length;
}

/** Whether a caller is on this machine; one that a proxy here speaks for is not. */
function isLoopback(ip: string, headers: Headers): boolean {
  const proxied = headers.forwarded !== undefined || headers["x-forwarded-for"] !== undefined;
  return !proxied && /^(?:127\.|::1$|::ffff:127\.)/.test(ip);
}

const SHOWN = 10;

function listed(allowed: readonly string[] | null): string {
  if (!allowed?.length) return "none";
  const more = allowed.length - SHOWN;
  return `${allowed.slice(0, SHOWN).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

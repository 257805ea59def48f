/** Whether a value is an object literal: neither a list nor an instance of a class. */
export function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  // A literal from another realm has that realm's Object.prototype, whose own prototype is null as well.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/**
 * A copy whose objects and lists are frozen all the way down. What a class made (a Secret, a Map, a connection) and
 * functions are kept as they are, because a copy of them would not be the same thing.
 */
export function frozenCopy<T>(value: T, copies = new Map<unknown, unknown>()): T {
  if (!Array.isArray(value) && !isPlain(value)) return value;
  const known = copies.get(value);
  if (known) return known as T;
  const copy: Record<PropertyKey, unknown> | unknown[] = Array.isArray(value) ? [] : Object.create(Object.getPrototypeOf(value));
  copies.set(value, copy);
  for (const key of Object.keys(value)) {
    // Defined, not assigned: an own `__proto__` key stays a key.
    const item = frozenCopy(value[key as keyof typeof value], copies);
    Object.defineProperty(copy, key, { value: item, enumerable: true, configurable: true, writable: true });
  }
  return Object.freeze(copy) as T;
}

import { GatewayError } from "../errors.ts";
import type { ForeignPart, Json, JsonObject } from "./canonical.ts";

/** Checks of untrusted JSON, by hand because every request passes through them. Each throws `invalid_request` with `param`. */

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isArray(value: unknown): value is readonly Json[] {
  return Array.isArray(value);
}

export function invalid(param: string, expected: string): GatewayError {
  return new GatewayError("invalid_request", { message: `"${param}" ${expected}.`, param });
}

export function unsupported(param: string, target: string): GatewayError {
  return new GatewayError("unsupported_parameter", { message: `"${param}" cannot be expressed for ${target}.`, param });
}

export function unsupportedPart(part: ForeignPart, target: string): GatewayError {
  return unsupported(part.path, target);
}

export function checkObject(value: unknown, param: string): JsonObject {
  if (!isObject(value)) throw invalid(param, "must be an object");
  return value;
}

export function checkArray(value: unknown, param: string): readonly Json[] {
  if (!isArray(value)) throw invalid(param, "must be an array");
  return value;
}

export function checkString(value: unknown, param: string): string {
  if (typeof value !== "string") throw invalid(param, "must be a string");
  return value;
}

export function checkName(value: unknown, param: string): string {
  if (typeof value !== "string" || value === "") throw invalid(param, "must be a non-empty string");
  return value;
}

export function checkBoolean(value: unknown, param: string): boolean {
  if (typeof value !== "boolean") throw invalid(param, "must be true or false");
  return value;
}

export function checkInteger(value: unknown, param: string, min: number, max: number = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
    throw invalid(
      param,
      max === Number.MAX_SAFE_INTEGER ? `must be an integer of at least ${min}` : `must be an integer between ${min} and ${max}`,
    );
  }
  return value as number;
}

export function checkNumber(value: unknown, param: string, min: number, max: number): number {
  if (typeof value !== "number" || !(value >= min && value <= max)) throw invalid(param, `must be a number between ${min} and ${max}`);
  return value;
}

export function checkOneOf<T extends string>(value: unknown, param: string, values: readonly T[]): T {
  if (!values.includes(value as T)) throw invalid(param, `must be one of ${values.map((each) => `"${each}"`).join(", ")}`);
  return value as T;
}

/** The database could not be reached, or did not answer in time. Says nothing of where it is. */
export class DatabaseUnavailable extends Error {
  override readonly name = "DatabaseUnavailable";
}

/** SQLite's result codes that a mistake in the statement does not lead to: busy, locked, no room, disk, file not to be opened. */
const SQLITE_AWAY = new Set([5, 6, 8, 10, 11, 13, 14, 23, 26]);
/**
 * PostgreSQL's: connection, authorisation, resources, operator's intervention, system; then statement timeout, lock not
 * available, deadlock and serialisation, no such database.
 */
const POSTGRES_AWAY = /^(08|28|53|57|58)...$|^(55P03|40001|40P01|3D000|25P03|25P04)$/;
/** The operating system's own, of network and files, and those of TLS. */
const SYSTEM_AWAY = /^(E(AI_)?[A-Z0-9]+|ERR_(SSL|TLS)_.*)$/;

/** After these the same statements may well succeed: deadlock, serialisation, connection lost or refused for the moment. */
const AGAIN = /^(08...|40001|40P01|57P0[123]|53300|ECONNRESET|ECONNREFUSED|EPIPE)$/;
const SQLITE_BUSY = 5;

/**
 * Whether the database could not be reached or did not answer in time, as against a mistake in the statement or a
 * constraint. For what a client is told: `dependency_unavailable`.
 */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof DatabaseUnavailable) return true;
  const { code, errcode } = codesOf(error);
  if (errcode !== undefined) return SQLITE_AWAY.has(errcode & 0xff);
  return code !== undefined && (POSTGRES_AWAY.test(code) || SYSTEM_AWAY.test(code));
}

/** Whether another try of the same transaction may succeed. A statement that took too long is not tried again. */
export function mayRetry(error: unknown): boolean {
  const { code, errcode } = codesOf(error instanceof DatabaseUnavailable && error.cause ? error.cause : error);
  if (errcode !== undefined) return (errcode & 0xff) === SQLITE_BUSY;
  return code !== undefined && AGAIN.test(code);
}

function codesOf(error: unknown): { readonly code?: string; readonly errcode?: number } {
  if (!(error instanceof Error)) return {};
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  return { ...(typeof code === "string" && { code }), ...(typeof errcode === "number" && { errcode }) };
}

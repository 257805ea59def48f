import type { PostgresPool, PostgresPoolClient, PostgresQueryResult } from "kysely";
import type { Pool, PoolClient, PoolConfig } from "pg";
import { DatabaseUnavailable, isUnavailable } from "./errors.ts";

/** For a connection, and for one of the pool to become free, in ms. */
const CONNECT_MS = 3_000;
/** What the server is given beyond its own deadline to say so, in ms; then the connection is given up. */
const GRACE_MS = 500;
/** int8 in PostgreSQL's catalogue. */
const INT8 = 20;
/** numeric: what `sum` makes of int8. */
const NUMERIC = 1700;

export interface PoolSettings {
  readonly url: string;
  readonly max: number;
  /** For one statement, in ms; 0 for none. */
  readonly statementMs: number;
  /** Told after each statement whether the server was there for it. */
  onOutcome(available: boolean): void;
}

/**
 * A pool for Kysely with deadlines on everything. A connection on which an answer is overdue is not used again: what comes
 * late would be taken for the answer to the next statement.
 */
export async function createPool(settings: PoolSettings): Promise<PostgresPool> {
  const { default: pg } = await import("pg");
  const pool: Pool = new pg.Pool({ ...(await connectionSettings(settings)), max: settings.max });
  // An idle connection that breaks is dropped by the pool; unheard, the event would end the process.
  pool.on("error", () => settings.onOutcome(false));
  return {
    async connect() {
      try {
        return guarded(await pool.connect(), settings);
      } catch (error) {
        settings.onOutcome(false);
        throw unavailable(error);
      }
    },
    end: () => pool.end(),
    options: {},
  };
}

/** What every connection is opened with, pooled or not. */
export async function connectionSettings({ url, statementMs }: Pick<PoolSettings, "url" | "statementMs">): Promise<PoolConfig> {
  const { default: pg } = await import("pg");
  const types = new pg.TypeOverrides();
  for (const type of [INT8, NUMERIC]) types.setTypeParser(type, "text", toNumber);
  return {
    connectionString: url,
    application_name: "headgate",
    connectionTimeoutMillis: CONNECT_MS,
    idleTimeoutMillis: 30_000,
    maxLifetimeSeconds: 3_600,
    ...(statementMs > 0 && {
      statement_timeout: statementMs,
      query_timeout: statementMs + GRACE_MS,
      idle_in_transaction_session_timeout: 2 * statementMs,
    }),
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    allowExitOnIdle: true,
    types,
  };
}

function guarded(client: PoolClient, { onOutcome }: PoolSettings): PostgresPoolClient {
  let broken = false;
  const onError = () => {
    broken = true;
  };
  client.on("error", onError);
  return {
    // Kysely reads it to cancel statements.
    processID: (client as PoolClient & { processID?: number }).processID,
    async query<Row>(text: string, values: readonly unknown[]): Promise<PostgresQueryResult<Row>> {
      try {
        const result = await client.query(text, values as unknown[]);
        onOutcome(true);
        return result as unknown as PostgresQueryResult<Row>;
      } catch (thrown) {
        if (thrown instanceof RangeError) throw thrown;
        // What the server says itself has an SQLSTATE, and leaves the connection in order.
        const told =
          /^[0-9A-Z]{5}$/.test((thrown as { code?: string }).code ?? "") && (thrown as { severity?: string }).severity !== "FATAL";
        const error = told ? (thrown as Error) : unavailable(thrown);
        if (!told) broken = true;
        onOutcome(!isUnavailable(error));
        throw error;
      }
    },
    release(destroy) {
      client.off("error", onError);
      client.release(broken || destroy);
    },
  } as PostgresPoolClient;
}

/** The client's own errors mostly have no code: a deadline passed, a connection ended. */
function unavailable(thrown: unknown): Error {
  if (isUnavailable(thrown)) return thrown as Error;
  const message = thrown instanceof Error ? thrown.message : "PostgreSQL could not be reached";
  const lost = /terminated|not queryable|closed/i.test(message);
  return new DatabaseUnavailable(message, { cause: lost ? Object.assign(new Error(message), { code: "08006" }) : thrown });
}

/** Numbers as SQLite gives them: JavaScript's, and refused where those could not hold a whole number exactly. */
function toNumber(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && !Number.isSafeInteger(number)) throw new RangeError("a whole number in the database is beyond 2^53");
  return number;
}

import { existsSync, readFileSync } from "node:fs";

const TABLE = "/proc/net/tcp";
const STATES = { established: "01", connecting: "02" } as const;

/** `it.skipIf(!countsConnections)`: only Linux tells what its connections are doing. */
export const countsConnections = existsSync(TABLE);

/** Connections of this machine to `port` over IPv4, in the given state. */
export function connectionsTo(port: number, state: keyof typeof STATES): number {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = readFileSync(TABLE, "latin1").split("\n");
  return rows.filter((row) => {
    const [, , remote, is] = row.trim().split(/\s+/);
    return remote?.endsWith(suffix) && is === STATES[state];
  }).length;
}

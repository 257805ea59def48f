import { readFile } from "node:fs/promises";
import { isIPv4, type Socket } from "node:net";

/**
 * Retransmissions in a row after which a peer counts as gone. With Linux's doubling from 200 ms the seventh is sent some
 * 25 s after the first byte that nobody acknowledged.
 */
const GONE_AFTER = 7;

/** Names a connection as `/proc/net/tcp` and `/proc/net/tcp6` do: remote address and both ports, in hexadecimal. */
export function connectionKey({
  remoteAddress = "",
  remotePort = 0,
  localPort = 0,
}: Pick<Socket, "remoteAddress" | "remotePort" | "localPort">): string {
  return `${addressHex(remoteAddress)}:${portHex(remotePort)}:${portHex(localPort)}`;
}

/**
 * The connections of this machine whose peers have stopped acknowledging, by {@link connectionKey}. A vanished client
 * (no FIN, no RST) is otherwise not noticed until TCP gives up after a quarter of an hour, because heartbeats fit into
 * the send buffer. Empty where there is no `/proc` (TCP's own timeouts then apply).
 */
export async function vanishedPeers(): Promise<Set<string>> {
  const tables = await Promise.all(["/proc/net/tcp", "/proc/net/tcp6"].map((path) => readFile(path, "latin1").catch(() => "")));
  return parseVanished(tables.join("\n"));
}

/** Columns: sl, local address:port, remote address:port, state, tx:rx queue, timer:when, retransmissions, … (proc_net_tcp). */
export function parseVanished(table: string): Set<string> {
  const gone = new Set<string>();
  for (const line of table.split("\n")) {
    const [, local, remote, , , , retransmissions] = line.trim().split(/\s+/);
    if (!local || !remote || !retransmissions || Number.parseInt(retransmissions, 16) < GONE_AFTER) continue;
    gone.add(`${unmapped(remote.slice(0, -5))}:${remote.slice(-4)}:${local.slice(-4)}`);
  }
  return gone;
}

/** IPv4 addresses on a dual-stack socket stand as `::ffff:a.b.c.d`; both spellings are one peer. */
function unmapped(address: string): string {
  return address.startsWith("0000000000000000FFFF0000") ? address.slice(24) : address;
}

/** Each 32-bit word is printed in the machine's byte order, little-endian on every platform that Node ships for. */
function addressHex(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/, "");
  const bytes = isIPv4(plain) ? plain.split(".").map(Number) : ipv6Bytes(plain);
  const words: string[] = [];
  for (let at = 0; at < bytes.length; at += 4) {
    words.push(
      bytes
        .slice(at, at + 4)
        .reverse()
        .map((byte) => byte.toString(16).padStart(2, "0"))
        .join(""),
    );
  }
  return words.join("").toUpperCase();
}

function ipv6Bytes(address: string): number[] {
  const [head = "", tail] = (address.split("%")[0] as string).split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":"));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => "0");
  return [...left, ...zeros, ...right].flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

function portHex(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, "0");
}

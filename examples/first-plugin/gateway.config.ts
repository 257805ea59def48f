import { defineGateway } from "headgate";
import { metrics } from "headgate/plugins";
import { simulator } from "headgate/providers";
import { polite } from "./polite.ts";

export default defineGateway({
  providers: [simulator()],
  models: { fast: "simulator/sim-small" },
  plugins: [metrics(), polite({ word: "please" })],
});

import { defineGateway } from "headgate";
import { metrics } from "headgate/plugins";
import empty from "./empty.config.ts";

export default defineGateway({ ...empty, plugins: [metrics()] });

import { defineGateway } from "headgate";
import shipped from "../../../gateway.config.ts";
import empty from "./empty.config.ts";

/** What `npm start` runs, in front of the bench's upstream. */
export default defineGateway({ ...shipped, providers: empty.providers, models: empty.models ?? {} });

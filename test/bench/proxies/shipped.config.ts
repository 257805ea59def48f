import { defineGateway } from "headgate";
import { data, shipped } from "./chains.ts";
import empty from "./empty.config.ts";

/** What `npm start` runs, in front of the bench's upstream. */
export default defineGateway({ ...empty, data, plugins: shipped });

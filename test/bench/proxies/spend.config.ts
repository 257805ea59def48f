import { defineGateway } from "headgate";
import { data, spend } from "./chains.ts";
import empty from "./empty.config.ts";

/** On SQLite and memory. */
export default defineGateway({ ...empty, data, plugins: spend });

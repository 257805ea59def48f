/** Parts of a config that people want ready-made; each is a plain function, used anywhere in `defineGateway`. */
export { providersFromEnv } from "./providers-from-env.ts";

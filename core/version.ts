import manifest from "headgate/package.json" with { type: "json" };

export const VERSION: string = manifest.version;

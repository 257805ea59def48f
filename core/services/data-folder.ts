import { token } from "../di.ts";

/** The folder, from the setting `data`, for what this machine keeps. May not be there yet. */
export const DataFolder = token<string>("data-folder", () => ".headgate");

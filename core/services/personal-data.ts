import { token } from "../di.ts";

/** What one plugin keeps about a person. */
export interface PersonalData {
  /** Everything kept about the user, fit for JSON, by a name such as `usage`. At most what the person may see: no secrets, nobody else's data. */
  export(userId: string): Promise<Readonly<Record<string, unknown>>>;
  /** Removes or makes anonymous what identifies the user; running it again changes nothing. Returns how many records that touched. */
  erase(userId: string): Promise<number>;
}

/** What all plugins of a chain keep about a person. Asked at run time, since it also knows of plugins later in the chain. */
export interface PersonalDataRegistry {
  /** Everything kept about the user, by the names that the plugins gave. */
  export(userId: string): Promise<Readonly<Record<string, unknown>>>;
  /**
   * Has every plugin erase, the last of the chain first, so that what says who the user is goes last. Rejects with the first
   * failure; doing it again finishes it. Resolves to the records touched, by plugin.
   */
  erase(userId: string): Promise<Readonly<Record<string, number>>>;
}

export const PersonalDataRegistry = token<PersonalDataRegistry>("personal-data", () => personalDataOf(() => []));

/** Plugins by name, outermost first. */
export function personalDataOf(plugins: () => readonly (readonly [plugin: string, data: PersonalData])[]): PersonalDataRegistry {
  return {
    async export(userId) {
      const all: Record<string, unknown> = {};
      for (const [, data] of plugins()) Object.assign(all, await data.export(userId));
      return all;
    },
    async erase(userId) {
      const touched: Record<string, number> = {};
      for (const [plugin, data] of plugins().toReversed()) touched[plugin] = await data.erase(userId);
      return touched;
    },
  };
}

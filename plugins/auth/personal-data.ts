import type { PersonalData } from "headgate";
import type { Directory } from "./directory.ts";
import type { Terms } from "./identity.ts";
import { shownKey, shownUser } from "./routes/shapes.ts";

/** What auth keeps about a person: the user and the user's keys, which go with them. */
export function personalDataOf(directory: Directory, terms: Terms): PersonalData {
  const { users, keys } = directory;
  return {
    async export(userId) {
      const [user, owned] = [await users.byId(userId), await keys.ofUser(userId)];
      return { user: user ? shownUser(user) : null, keys: owned.map((key) => shownKey(key, terms, directory.now().wall)) };
    },
    async erase(userId) {
      const owned = await keys.ofUser(userId);
      const erased = (await keys.deleteOfUser(userId)) + Number(await users.delete(userId));
      for (const { hash } of owned) await directory.tell({ revoked: hash });
      await directory.tell({ user: userId });
      return erased;
    },
  };
}

/** What one plugin keeps about a person. */
export interface PersonalData {
  /** Everything kept about the user, fit for JSON, by a name such as `usage`. At most what the person may see: no secrets, nobody else's data. */
  export(userId: string): Promise<Readonly<Record<string, unknown>>>;
  /** Removes or makes anonymous what identifies the user; running it again changes nothing. Returns how many records that touched. */
  erase(userId: string): Promise<number>;
}

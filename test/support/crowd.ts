import pg from "pg";

/** Settings of a server that a crowd fills at once. */
export const FEW_CONNECTIONS = { max_connections: 6, superuser_reserved_connections: 0, max_wal_senders: 0 };

export interface Crowd {
  /** Ends the gateway's connections to this database, and takes every connection that the server has left. */
  gather(): Promise<void>;
  /** Gives all back but one. */
  leave(): Promise<void>;
  stop(): Promise<void>;
}

/** Takes connections from others, so that the server refuses them (SQLSTATE 53300). It keeps one of its own throughout. */
export async function startCrowd(url: string): Promise<Crowd> {
  const connect = async () => {
    const client = new pg.Client({ connectionString: url });
    client.on("error", () => undefined);
    await client.connect();
    return client;
  };
  const own = await connect();
  const taken: pg.Client[] = [];
  return {
    async gather() {
      await own.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'headgate'");
      for (;;) {
        try {
          taken.push(await connect());
        } catch (error) {
          if ((error as { code?: unknown }).code === "53300") return;
          throw error;
        }
      }
    },
    async leave() {
      await Promise.all(taken.splice(0).map((client) => client.end()));
    },
    async stop() {
      await Promise.all([own, ...taken].map((client) => client.end().catch(() => undefined)));
    },
  };
}

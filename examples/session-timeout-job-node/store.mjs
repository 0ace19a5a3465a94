// The application's sessions and the outbox beside them, in PostgreSQL: the tables of ../session_timeout_job/schema.sql.
import postgres from "postgres";

const BATCH = 100; // sessions in one transaction, events published before they are forgotten
const CONNECT_TIMEOUT = 10; // seconds

const now = () => Math.floor(Date.now() / 1000);

export class Store {
  #sql;

  constructor(url) {
    try {
      this.#sql = postgres(url, { max: 1, connect_timeout: CONNECT_TIMEOUT });
    } catch {
      throw new Error("store_url must be a URL of PostgreSQL"); // what it says would show the URL
    }
  }

  // Ends the sessions that were not used for so many seconds, each with its event in the outbox; returns how many.
  async endIdle(seconds, eventOf) {
    const usedUntil = now() - seconds;
    let ended = 0;
    for (let idle; (idle = await this.#idle(usedUntil)).length > 0; ) {
      ended += await this.#sql.begin(async (sql) => {
        let changed = 0;
        for (const session of idle) changed += await end(sql, session, usedUntil, eventOf);
        return changed;
      });
    }
    return ended;
  }

  // Returns events of the outbox, the oldest first.
  waiting() {
    return this.#sql`SELECT event_id, type, body, signature FROM outbox ORDER BY created_at, event_id LIMIT ${BATCH}`;
  }

  // Takes events out of the outbox.
  async forget(confirmed) {
    await this.#sql`DELETE FROM outbox WHERE event_id IN ${this.#sql(confirmed.map((each) => each.event_id))}`;
  }

  close() {
    return this.#sql.end({ timeout: 1 });
  }

  #idle(usedUntil) {
    return this.#sql`
      SELECT id, email, provider, token, expires_at FROM sessions
      WHERE ended_at IS NULL AND last_used_at <= ${usedUntil} ORDER BY id LIMIT ${BATCH}`;
  }
}

// Ends one session in a transaction, with its event; returns 1, or 0 where it was used again or ended meanwhile.
async function end(sql, session, usedUntil, eventOf) {
  const found = await sql`
    UPDATE sessions SET ended_at = ${now()}
    WHERE id = ${session.id} AND ended_at IS NULL AND last_used_at <= ${usedUntil}`;
  if (found.count === 0) return 0;
  await sql`INSERT INTO outbox ${sql(await eventOf(session))}`;
  return 1;
}

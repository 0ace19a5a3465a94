-- The application's sessions, and the outbox beside them. SQLite and PostgreSQL both take it. Times are in seconds
-- since 1970, UTC.
CREATE TABLE sessions (
  id TEXT PRIMARY KEY,
  email TEXT NOT NULL,
  provider TEXT NOT NULL,       -- the name of a provider instance of the worker's settings
  token TEXT NOT NULL,          -- the session's token there, as the application uses it
  expires_at BIGINT NOT NULL,   -- when the token expires by itself
  last_used_at BIGINT NOT NULL, -- the application sets it, but never where ended_at is set
  ended_at BIGINT               -- NULL while the session is open
);
CREATE INDEX open_sessions ON sessions (last_used_at) WHERE ended_at IS NULL;

CREATE TABLE outbox (
  event_id TEXT PRIMARY KEY,
  type TEXT NOT NULL,
  body TEXT NOT NULL,           -- the event, its token sealed; published as it stands
  signature TEXT NOT NULL,
  created_at BIGINT NOT NULL
);

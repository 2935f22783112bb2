#include "schema.h"

/* What version 0, an empty file, and so on become: never changed once it is
 * out, only added to. */
const char *const schema_steps[SCHEMA_VERSION] = {
	"CREATE TABLE settings (name TEXT PRIMARY KEY, value BLOB NOT NULL);"

	/* last_seq outlives the events: a number is never given twice. */
	"CREATE TABLE topics ("
	"row INTEGER PRIMARY KEY AUTOINCREMENT,"
	"id TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE,"
	"last_seq INTEGER NOT NULL DEFAULT 0);"

	/* secret: hash, NULL until a code was redeemed. generation counts the
	 * secrets; tokens of an older one are dead. */
	"CREATE TABLE scripts ("
	"row INTEGER PRIMARY KEY AUTOINCREMENT,"
	"id TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE,"
	"secret BLOB, generation INTEGER NOT NULL DEFAULT 0);"

	"CREATE TABLE grants ("
	"script INTEGER NOT NULL, topic INTEGER NOT NULL,"
	"action TEXT NOT NULL, id TEXT NOT NULL UNIQUE,"
	"PRIMARY KEY (script, topic, action)) WITHOUT ROWID;"

	/* Single use. kind: 'activation' (of a script), 'invite' (to topic
	 * and action), 'refresh' (of a script and its generation). Spent ones
	 * stay a while, so that their answer is 'spent' and not 'unknown'. */
	"CREATE TABLE codes ("
	"hash BLOB PRIMARY KEY, kind TEXT NOT NULL,"
	"script INTEGER, generation INTEGER, topic INTEGER, action TEXT,"
	"expires INTEGER NOT NULL, used INTEGER) WITHOUT ROWID;"
	"CREATE INDEX codes_expires ON codes (expires);"

	/* What counts against a rate limit, one row each. */
	"CREATE TABLE uses ("
	"script INTEGER NOT NULL, kind TEXT NOT NULL, at INTEGER NOT NULL);"
	"CREATE INDEX uses_at ON uses (script, kind, at);"

	/* Rows are in the order of time. The payload comes last, so that
	 * nothing else has to be read past it. correlation, reply and ref are
	 * JSON as it came. */
	"CREATE TABLE events ("
	"row INTEGER PRIMARY KEY,"
	"topic INTEGER NOT NULL, seq INTEGER NOT NULL,"
	"id BLOB NOT NULL, at INTEGER NOT NULL,"
	"type TEXT NOT NULL, producer TEXT NOT NULL,"
	"correlation BLOB, reply BLOB, ref BLOB, payload BLOB);"
	"CREATE UNIQUE INDEX events_seq ON events (topic, seq);"
	"CREATE UNIQUE INDEX events_id ON events (id);"
	"CREATE INDEX events_type ON events (topic, type, seq);"

	"CREATE TABLE objects ("
	"id TEXT PRIMARY KEY, topic INTEGER NOT NULL,"
	"content_type TEXT NOT NULL, filename TEXT,"
	"size INTEGER NOT NULL, stored INTEGER NOT NULL DEFAULT 0,"
	"created INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX objects_created ON objects (created);"
	"CREATE INDEX objects_pending ON objects (created) WHERE stored = 0;"

	"PRAGMA application_id = 1095193944;" /* SCHEMA_APPLICATION */
	"PRAGMA user_version = 1;",

	/* The oauth dialect. client: the id that goes with the secret there,
	 * NULL in classic. metadata: JSON as it came. An object is committed
	 * by the event that names it; checksum is as it was announced. */
	"ALTER TABLE scripts ADD COLUMN client TEXT;"
	"CREATE UNIQUE INDEX scripts_client ON scripts (client);"
	"ALTER TABLE events ADD COLUMN metadata BLOB;"
	"ALTER TABLE objects ADD COLUMN checksum TEXT;"
	"ALTER TABLE objects ADD COLUMN "
	"committed INTEGER NOT NULL DEFAULT 1;"
	"CREATE INDEX objects_uncommitted ON objects (created) "
	"WHERE committed = 0;"

	/* Answers to publishing under an idempotency key. hash: of script and
	 * key; body: the hash of topic and body; event: its id. */
	"CREATE TABLE replays ("
	"hash BLOB PRIMARY KEY, body BLOB NOT NULL, event BLOB NOT NULL,"
	"at INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX replays_at ON replays (at);"

	"PRAGMA user_version = 2;",

	/* Joining without a code. A client is a program that registered
	 * itself; a device is one that waits to be approved: script is NULL
	 * until then, 0 if it was denied. A family is what came of an
	 * approval: refresh tokens (codes whose generation is its row), each
	 * used once. */
	"CREATE TABLE clients ("
	"id TEXT PRIMARY KEY, name TEXT NOT NULL, at INTEGER NOT NULL)"
	"WITHOUT ROWID;"
	"CREATE INDEX clients_at ON clients (at);"
	"CREATE TABLE devices ("
	"hash BLOB PRIMARY KEY, user_code TEXT NOT NULL UNIQUE,"
	"client TEXT NOT NULL, script INTEGER, expires INTEGER NOT NULL,"
	"interval INTEGER NOT NULL, polled INTEGER NOT NULL DEFAULT 0)"
	"WITHOUT ROWID;"
	"CREATE INDEX devices_expires ON devices (expires);"
	"CREATE TABLE families ("
	"row INTEGER PRIMARY KEY AUTOINCREMENT, client TEXT NOT NULL,"
	"script INTEGER NOT NULL, at INTEGER NOT NULL);"
	"CREATE INDEX families_script ON families (script);"
	"CREATE INDEX families_at ON families (at);"

	"PRAGMA user_version = 3;"
};

-- One file, one writer at a time, many readers. Times are microseconds since 1970 UTC.
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- The log: append only. seq is the order of arrival; body is the canonical payload as JSON.
CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  event_id TEXT NOT NULL UNIQUE,
  event_type TEXT NOT NULL,
  occurred_us INTEGER NOT NULL,
  received_us INTEGER NOT NULL,
  source TEXT,
  student_id TEXT, tutor_id TEXT, subject TEXT, region TEXT,
  digest BLOB NOT NULL,
  body BLOB NOT NULL,
  peer TEXT, request_id TEXT, -- who brought it: the network address of the connection, and the request
  counted INTEGER -- what it counts (domain.counted); NULL when it could not be folded
);
CREATE INDEX events_occurred ON events (occurred_us);
-- People's hours are read from these alone (reads_hours.py).
CREATE INDEX events_by_student ON events (student_id, occurred_us, counted) WHERE student_id IS NOT NULL;
CREATE INDEX events_by_tutor ON events (tutor_id, occurred_us, counted) WHERE tutor_id IS NOT NULL;
CREATE INDEX events_calls ON events (occurred_us) WHERE event_type = 'ib_call_logged';
CREATE INDEX IF NOT EXISTS events_bookings ON events (occurred_us) WHERE event_type = 'booking_requested';

CREATE TABLE rejects (
  reject_id INTEGER PRIMARY KEY AUTOINCREMENT,
  at_us INTEGER NOT NULL, reason TEXT NOT NULL, event_type TEXT, source TEXT,
  errors TEXT NOT NULL, body TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'new', replayed_by TEXT, replayed_us INTEGER -- new, or replayed: sent again by whom and when
);
-- Counts that must survive a restart: duplicates, conflicts, rejects by reason, drift of unknown fields.
CREATE TABLE tallies (day_us INTEGER NOT NULL, name TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (day_us, name)) WITHOUT ROWID;

-- Hourly buckets per place; the counters are backend.domain.windows.COUNTERS, in that order (columns added at creation).
-- entity_type is subject, region, cell ("subject|region") or all ("all"); the hours of students and tutors stand in the log.
CREATE TABLE buckets (entity_type TEXT NOT NULL, entity_id TEXT NOT NULL, hour_us INTEGER NOT NULL, /*COUNTERS*/
  PRIMARY KEY (entity_type, entity_id, hour_us)) WITHOUT ROWID;

-- State per entity, exact as of meta.swept_us. `state` is msgpack of domain.profiles.Profile; the columns are for lists.
CREATE TABLE entities (
  entity_type TEXT NOT NULL, entity_id TEXT NOT NULL, name TEXT,
  subject TEXT, region TEXT, tutor_id TEXT, segment TEXT,
  health REAL, health_source TEXT, risk REAL, expected_loss REAL, velocity REAL, velocity_change REAL, avg_rating REAL,
  utilisation REAL, ratio REAL, gap_hours REAL, status TEXT,
  sessions_7d INTEGER NOT NULL DEFAULT 0, sessions_14d INTEGER NOT NULL DEFAULT 0, sessions_30d INTEGER NOT NULL DEFAULT 0,
  ib_calls_7d INTEGER NOT NULL DEFAULT 0, ib_calls_14d INTEGER NOT NULL DEFAULT 0, ib_calls_30d INTEGER NOT NULL DEFAULT 0,
  monthly_value REAL, last_session_us INTEGER, first_session_us INTEGER, first_success INTEGER,
  first_tutor TEXT, first_subject TEXT, first_region TEXT,
  simulated INTEGER NOT NULL DEFAULT 0,
  refresh_us INTEGER NOT NULL, updated_us INTEGER NOT NULL, version INTEGER NOT NULL, state BLOB NOT NULL,
  PRIMARY KEY (entity_type, entity_id)
) WITHOUT ROWID;
CREATE INDEX entities_refresh ON entities (refresh_us);
CREATE INDEX entities_loss ON entities (entity_type, expected_loss DESC);
CREATE INDEX entities_health ON entities (entity_type, health);
CREATE INDEX entities_name ON entities (entity_type, name COLLATE NOCASE);
-- For the read side: spread of health and active students, filters by place, first-session success, repeat callers.
CREATE INDEX entities_segment ON entities (entity_type, segment, health, sessions_30d);
CREATE INDEX entities_place ON entities (entity_type, subject, region);
CREATE INDEX entities_first ON entities (first_session_us, first_success, first_subject, first_region, first_tutor)
  WHERE entity_type = 'student' AND first_session_us IS NOT NULL;
CREATE INDEX entities_callers ON entities (ib_calls_7d) WHERE entity_type = 'student' AND ib_calls_7d >= 2;

-- Who learns what with whom: feeds filter cascades, a tutor's students, a student's tutors.
CREATE TABLE links (
  student_id TEXT NOT NULL, tutor_id TEXT NOT NULL, subject TEXT NOT NULL, region TEXT NOT NULL,
  sessions INTEGER NOT NULL, last_us INTEGER NOT NULL,
  PRIMARY KEY (student_id, tutor_id, subject, region)
) WITHOUT ROWID;
CREATE INDEX links_tutor ON links (tutor_id, student_id);
CREATE INDEX links_subject ON links (subject, region, student_id);
CREATE INDEX IF NOT EXISTS links_region ON links (region, student_id);

-- What arrived, by minute and type: rates and lateness without reading the log. `late`: more than an hour after it happened.
-- `past`: beside n, in batches that bring in a stretch of the past.
CREATE TABLE arrivals (
  minute_us INTEGER NOT NULL, event_type TEXT NOT NULL, n INTEGER NOT NULL, late INTEGER NOT NULL, last_us INTEGER NOT NULL,
  past INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (minute_us, event_type)
) WITHOUT ROWID;

-- Supply and demand as reported, with history.
CREATE TABLE market (
  subject TEXT NOT NULL, region TEXT NOT NULL, at_us INTEGER NOT NULL, event_id TEXT NOT NULL,
  available_tutors INTEGER, active_students INTEGER, pending_requests INTEGER,
  demand_score REAL, supply_score REAL, demand_hours REAL, supply_hours REAL, wait_hours REAL, ratio REAL, status TEXT, reported_status TEXT,
  PRIMARY KEY (subject, region, at_us, event_id)
) WITHOUT ROWID;
CREATE INDEX market_at ON market (at_us);

-- Numeric samples (metric_reported), with the anomaly score where one was computed.
CREATE TABLE samples (
  source TEXT NOT NULL, name TEXT NOT NULL, at_us INTEGER NOT NULL, event_id TEXT NOT NULL, value REAL NOT NULL, unit TEXT, score REAL,
  PRIMARY KEY (source, name, at_us, event_id)
) WITHOUT ROWID;
CREATE TABLE detectors (source TEXT NOT NULL, name TEXT NOT NULL, through_us INTEGER NOT NULL, state BLOB NOT NULL, PRIMARY KEY (source, name)) WITHOUT ROWID;

CREATE TABLE alerts (
  alert_id TEXT PRIMARY KEY, version INTEGER NOT NULL,
  rule_id TEXT NOT NULL, rule_version INTEGER NOT NULL, alert_type TEXT NOT NULL, severity TEXT NOT NULL, status TEXT NOT NULL,
  entity_type TEXT NOT NULL, entity_id TEXT NOT NULL, entity_name TEXT, subject TEXT, region TEXT,
  title TEXT NOT NULL, message TEXT NOT NULL, details TEXT NOT NULL, occurrences INTEGER NOT NULL,
  opened_us INTEGER NOT NULL, last_seen_us INTEGER NOT NULL, owner TEXT,
  acknowledged_by TEXT, acknowledged_us INTEGER, snoozed_until_us INTEGER, resolved_us INTEGER, cause TEXT, last_note TEXT, verdict TEXT,
  simulated INTEGER NOT NULL DEFAULT 0, ended_by TEXT, quiet_until_us INTEGER,
  request_id TEXT, -- that changed it last: by the event it brought, or as somebody's command
  explained TEXT -- the severity that its newest insight tells of
) WITHOUT ROWID;
-- At most one living alert per rule and entity.
CREATE UNIQUE INDEX alerts_live ON alerts (rule_id, entity_type, entity_id) WHERE resolved_us IS NULL;
CREATE INDEX alerts_status ON alerts (status, opened_us);
CREATE INDEX IF NOT EXISTS alerts_tally ON alerts (severity, status, owner, entity_type, entity_id); -- all that counting them needs
CREATE INDEX alerts_entity ON alerts (entity_type, entity_id);
CREATE INDEX IF NOT EXISTS alerts_type ON alerts (alert_type, opened_us);
CREATE INDEX IF NOT EXISTS alerts_newest ON alerts (opened_us DESC, alert_id);
CREATE INDEX IF NOT EXISTS alerts_quiet ON alerts (quiet_until_us) WHERE quiet_until_us IS NOT NULL;
-- Living alerts not explained as they stand, most urgent first: short, however many alerts are open.
CREATE INDEX IF NOT EXISTS alerts_unexplained
  ON alerts (CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, opened_us DESC, alert_id)
  WHERE resolved_us IS NULL AND severity IS NOT explained AND entity_type IN ('student', 'tutor', 'cell');

-- Every change of an alert, one row, same transaction. digest chains each row to the one before it.
CREATE TABLE audit (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT, alert_id TEXT NOT NULL, at_us INTEGER NOT NULL,
  actor TEXT NOT NULL, action TEXT NOT NULL, before TEXT, after TEXT NOT NULL, note TEXT, digest BLOB NOT NULL
);
CREATE INDEX audit_alert ON audit (alert_id, sequence);

-- What the store says happened, for everyone who follows it by cursor; pruned by age.
CREATE TABLE changes (seq INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL);

-- Settings and desired state that outlive a process: the simulator's orders, saved views, ...
CREATE TABLE documents (key TEXT PRIMARY KEY, value TEXT NOT NULL, updated_us INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE keys (
  key_id TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, role TEXT NOT NULL, digest BLOB NOT NULL UNIQUE,
  created_us INTEGER NOT NULL, last_used_us INTEGER, revoked_us INTEGER
) WITHOUT ROWID;
CREATE TABLE idempotency (key TEXT PRIMARY KEY, digest BLOB NOT NULL, status INTEGER NOT NULL, answer BLOB NOT NULL, at_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE imports (path TEXT PRIMARY KEY, digest TEXT NOT NULL, report BLOB NOT NULL, updated_us INTEGER NOT NULL) WITHOUT ROWID;

-- Explanations; `body` is domain.insights.Insight as JSON, the columns are for looking up.
CREATE TABLE insights (
  insight_id TEXT PRIMARY KEY, alert_id TEXT, entity_type TEXT NOT NULL, entity_id TEXT NOT NULL, kind TEXT NOT NULL,
  severity TEXT NOT NULL, score REAL, source TEXT NOT NULL, model TEXT, prompt_version TEXT NOT NULL, facts_digest TEXT NOT NULL,
  created_us INTEGER NOT NULL, simulated INTEGER NOT NULL DEFAULT 0, verdict TEXT, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX insights_alert ON insights (alert_id, created_us) WHERE alert_id IS NOT NULL;
CREATE INDEX insights_entity ON insights (entity_type, entity_id, created_us);
CREATE INDEX insights_facts ON insights (facts_digest, created_us) WHERE source != 'rules';
CREATE INDEX insights_created ON insights (created_us);
CREATE INDEX IF NOT EXISTS insights_kind ON insights (kind, severity, created_us);
-- What explaining used, by day: calls, failures, tokens, explained, fallbacks, withheld, cached.
CREATE TABLE llm_usage (day_us INTEGER NOT NULL, name TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (day_us, name)) WITHOUT ROWID;

-- Forecasts by hour, learned from closed hours (backend.services.forecasting). place is "subject|region", either may be empty.
CREATE TABLE IF NOT EXISTS forecasts (
  measure TEXT NOT NULL, place TEXT NOT NULL, outlook BLOB NOT NULL, state BLOB NOT NULL, PRIMARY KEY (measure, place)
) WITHOUT ROWID;
-- What was said about each hour of a day (UTC), and what came: backend.domain.outlook.Day.
CREATE TABLE IF NOT EXISTS forecast_days (
  measure TEXT NOT NULL, day_us INTEGER NOT NULL, place TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (measure, day_us, place)
) WITHOUT ROWID;
-- Stretches in which a series left its usual course; `body` is backend.domain.episodes.Episode as JSON.
CREATE TABLE IF NOT EXISTS episodes (
  measure TEXT NOT NULL, place TEXT NOT NULL, start_us INTEGER NOT NULL, end_us INTEGER, body BLOB NOT NULL,
  PRIMARY KEY (measure, place, start_us)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS episodes_start ON episodes (start_us);
CREATE TABLE IF NOT EXISTS watched (measure TEXT NOT NULL, place TEXT NOT NULL, state BLOB NOT NULL, PRIMARY KEY (measure, place)) WITHOUT ROWID;

-- What models said (backend.domain.predictions.Scored): the newest of each entity, and the last of every hour to look back on.
CREATE TABLE IF NOT EXISTS predictions (
  entity_type TEXT NOT NULL, entity_id TEXT NOT NULL, at_us INTEGER NOT NULL, model TEXT NOT NULL, risk REAL, body BLOB NOT NULL,
  PRIMARY KEY (entity_type, entity_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS prediction_history (
  entity_type TEXT NOT NULL, entity_id TEXT NOT NULL, hour_us INTEGER NOT NULL, at_us INTEGER NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY (entity_type, entity_id, hour_us)
) WITHOUT ROWID;
-- What two models say of the same entity while one is tried beside the other (backend.domain.trials.Pair); due_us NULL: nothing left to look up.
CREATE TABLE IF NOT EXISTS pairs (
  entity_type TEXT NOT NULL, entity_id TEXT NOT NULL, live TEXT NOT NULL, trial TEXT NOT NULL, due_us INTEGER, body BLOB NOT NULL,
  PRIMARY KEY (entity_type, entity_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pairs_due ON pairs (due_us) WHERE due_us IS NOT NULL;

-- Where people are told (backend.domain.channels.Channel as JSON, its secret address included), and every message to them.
-- The outbox is `audit`: one row per transition, in its transaction; meta.told is how far messages were made of it.
CREATE TABLE IF NOT EXISTS channels (channel_id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, body TEXT NOT NULL, updated_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deliveries (
  delivery_id TEXT PRIMARY KEY, channel_id TEXT NOT NULL, channel TEXT NOT NULL, kind TEXT NOT NULL, topic TEXT NOT NULL, severity TEXT NOT NULL,
  state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', tries INTEGER NOT NULL DEFAULT 0,
  news_us INTEGER NOT NULL, created_us INTEGER NOT NULL, due_us INTEGER NOT NULL, sent_us INTEGER, body TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (state, due_us);
CREATE INDEX IF NOT EXISTS deliveries_made ON deliveries (channel_id, created_us);
CREATE TABLE IF NOT EXISTS delivery_alerts (
  alert_id TEXT NOT NULL, delivery_id TEXT NOT NULL, severity TEXT NOT NULL, PRIMARY KEY (alert_id, delivery_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS delivery_alerts_of ON delivery_alerts (delivery_id);

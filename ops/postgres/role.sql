-- The role of BRX_DATABASE_URL, for whoever does not want the program to own its tables. The owner runs `brx-sync migrate`, with its own URL, and this once, in the
-- program's database; a role may be made only by one that may make roles. Later migrations need nothing more: what the owner makes is granted by default.
CREATE ROLE brx_sync LOGIN PASSWORD 'change me';
GRANT USAGE ON SCHEMA public TO brx_sync;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO brx_sync;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO brx_sync;
-- Not needed to work: `brx-sync doctor` sees how long others' transactions have been open, and the runbooks' queries what others wait for.
GRANT pg_read_all_stats TO brx_sync;

package pgstore

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const (
	// format is the version of the tables. A change of them that an earlier Fray could not work with
	// has the next.
	format = 1
	// schemaLock is what who makes the tables locks: see pg_advisory_xact_lock.
	schemaLock = 0x66726179
	// firstEpochs is how many epochs a new database may begin at. Controllers number their tokens by
	// epochs, for which these have 24 bits, and those of a database that was lost must be nobody's.
	firstEpochs = 1 << 22
)

var (
	errFormat   = errors.New("the tables are of another version of Fray")
	errNoTables = errors.New("there are no tables of Fray in the first schema of the search_path")
)

// ensure makes the tables, or sees that they are there, once.
func (d *Database) ensure(ctx context.Context) error {
	if d.ready.Load() {
		return nil
	}
	d.prepare.Lock()
	defer d.prepare.Unlock()
	if d.ready.Load() {
		return nil
	}
	c, err := d.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("pgstore: %w", err)
	}
	defer c.Release()
	if err := pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error { return makeTables(ctx, tx, d.cfg.Existing) }); err != nil {
		return fmt.Errorf("pgstore: prepare the tables: %w", explain(err))
	}
	d.warn(ctx, c.Conn())
	d.ready.Store(true)
	return nil
}

// makeTables makes the tables unless they are there, as they must be if so it is said.
func makeTables(ctx context.Context, tx pgx.Tx, existing bool) error {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", schemaLock); err != nil {
		return err
	}
	var there bool
	if err := tx.QueryRow(ctx, "SELECT to_regclass('fray_format') IS NOT NULL").Scan(&there); err != nil {
		return err
	}
	if there {
		var is int
		if err := tx.QueryRow(ctx, "SELECT version FROM fray_format").Scan(&is); err != nil {
			return err
		}
		if is != format {
			return fmt.Errorf("%w: they have format %d, and this Fray has format %d", errFormat, is, format)
		}
		return nil
	}
	if existing {
		return errNoTables
	}
	if _, err := tx.Exec(ctx, schema); err != nil {
		return err
	}
	for _, table := range tables {
		if table == "" {
			continue
		}
		if _, err := tx.Exec(ctx, fmt.Sprintf(recordTable, table)); err != nil {
			return err
		}
	}
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails: it ends the program instead
	first := int64(binary.LittleEndian.Uint64(random[:]) % firstEpochs)
	_, err := tx.Exec(ctx, "INSERT INTO fray_seat (epoch) VALUES ($1)", first)
	return err
}

// schema makes all but the tables of records. The row of the seat is changed with each commit: the
// space left free in its page has these changes need no new entry in an index, see "Heap-Only Tuples"
// in PostgreSQL's manual.
const schema = `
CREATE TABLE fray_format (version integer NOT NULL);
INSERT INTO fray_format VALUES (1);
CREATE TABLE fray_seat (
	one boolean PRIMARY KEY DEFAULT true CHECK (one),
	epoch bigint NOT NULL,
	commits bigint NOT NULL DEFAULT 0,
	beats bigint NOT NULL DEFAULT 0,
	vacant boolean NOT NULL DEFAULT true,
	holder text NOT NULL DEFAULT '',
	address text NOT NULL DEFAULT ''
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_scale_factor = 0);
CREATE FUNCTION fray_fence(of_epoch bigint, of_commit bigint, is_lazy boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	seat fray_seat;
BEGIN
	SELECT * INTO STRICT seat FROM fray_seat FOR UPDATE;
	IF seat.epoch <> of_epoch OR seat.vacant THEN
		RAISE EXCEPTION USING ERRCODE = 'FR001', MESSAGE = 'another controller leads';
	END IF;
	IF seat.commits + 1 <> of_commit THEN
		RAISE EXCEPTION USING ERRCODE = 'FR002', MESSAGE = 'the number of the commit is not the next';
	END IF;
	UPDATE fray_seat SET commits = of_commit;
	IF is_lazy THEN
		PERFORM set_config('synchronous_commit', 'off', true);
	END IF;
END
$$;
`

// recordTable makes a table of records. They are written about three times and deleted soon, so that
// it is vacuumed by how many have gone, not by the share, and without pauses; and their values are
// not compressed, which costs more than it saves.
const recordTable = `
CREATE TABLE %[1]s (
	num bigint NOT NULL,
	part integer NOT NULL,
	parts integer NOT NULL,
	value bytea NOT NULL,
	PRIMARY KEY (num, part)
) WITH (fillfactor = 90, autovacuum_vacuum_threshold = 50000, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = -1,
	autovacuum_vacuum_cost_delay = 0);
ALTER TABLE %[1]s ALTER COLUMN value SET STORAGE EXTERNAL;
`

// warn tells what of the server's settings takes from what is promised.
func (d *Database) warn(ctx context.Context, conn *pgx.Conn) {
	var fsync, standbys string
	var replicas int
	err := conn.QueryRow(ctx, `SELECT current_setting('fsync'), current_setting('synchronous_standby_names'),
		(SELECT count(*) FROM pg_stat_replication)`).Scan(&fsync, &standbys, &replicas)
	switch {
	case err != nil:
		d.cfg.Logger.WarnContext(ctx, "what the database promises is unknown", "error", err)
	case fsync == "off":
		d.cfg.Logger.WarnContext(ctx, "the database does not sync: a crash of its machine takes what was acknowledged, and may leave it damaged; set fsync = on")
	case standbys == "" && replicas > 0:
		d.cfg.Logger.WarnContext(ctx, "the database's standbys are asynchronous: what was acknowledged in the last moments is lost when one takes over; set synchronous_standby_names")
	}
}

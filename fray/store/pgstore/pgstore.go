package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
)

const (
	// PartBytes is the most of a value that is in one row.
	PartBytes = 1 << 20
	// MaxBatchBytes bounds the values of one batch.
	MaxBatchBytes = 256 << 20
	// connections bounds those that a controller has, besides the one that listens.
	connections = 8
	// connectTimeout bounds how long it tries one server.
	connectTimeout = 5 * time.Second
	// applicationName is how its connections call themselves to the server.
	applicationName = "fray"
)

// Config is where the database is. The zero value of each field but URL is its default.
type Config struct {
	// URL is a PostgreSQL connection string, as libpq takes it: several hosts, TLS (sslmode,
	// sslrootcert, sslcert, sslkey), search_path and so on are said in it. Of several hosts the one is
	// used that can be written to. What it lacks is taken from the environment (PGPASSWORD, PGSSLMODE,
	// ...) and from ~/.pgpass, as libpq does.
	URL string
	// Durability is store.Sync, the default, or store.Relaxed: the server may take three times its
	// wal_writer_delay to make a commit durable.
	Durability store.Durability
	// Existing has it be an error, rather than a reason to make them, that there are no tables.
	Existing bool
	// Registerer takes metrics of the connections, until Close. Default: there are none.
	Registerer prometheus.Registerer
	// Logger is told what of the server's settings takes from what is promised. Default: nobody is.
	Logger *slog.Logger
}

// Database is a lead.Database in PostgreSQL.
type Database struct {
	cfg  Config
	pool *pgxpool.Pool

	ready   atomic.Bool // the tables are there, and of this version
	prepare sync.Mutex  // held while they are looked for

	listening chan *pgx.Conn // holds the connection that listens, or nil
}

var (
	_ lead.Database = (*Database)(nil)
	_ lead.Raiser   = (*Database)(nil)
)

// Open prepares the database, unless it is away: then it does so once that is there. It returns an
// error if the URL is wrong, if the server refuses, or if its tables are of a newer version, or must
// exist and do not.
func Open(ctx context.Context, cfg Config) (*Database, error) {
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	cfg.Durability = cmp.Or(cfg.Durability, store.Sync)
	pool, err := poolConfig(&cfg)
	if err != nil {
		return nil, err
	}
	d := &Database{cfg: cfg, listening: make(chan *pgx.Conn, 1)}
	d.listening <- nil
	if d.pool, err = pgxpool.NewWithConfig(ctx, pool); err != nil {
		return nil, fmt.Errorf("pgstore: %w", err)
	}
	if err := d.ensure(ctx); err != nil {
		if lasts(err) {
			d.pool.Close()
			return nil, err
		}
		cfg.Logger.WarnContext(ctx, "the database is away, and waited for", "error", err)
	}
	if cfg.Registerer != nil {
		if err := cfg.Registerer.Register(metrics{d.pool}); err != nil {
			d.pool.Close()
			return nil, fmt.Errorf("pgstore: register metrics: %w", err)
		}
	}
	return d, nil
}

// poolConfig is what the URL asks for, and what Fray needs.
func poolConfig(cfg *Config) (*pgxpool.Config, error) {
	if cfg.URL == "" {
		return nil, errors.New("pgstore: URL is required")
	}
	pool, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("pgstore: %w", err) // It says nothing of the password.
	}
	c := pool.ConnConfig
	pool.MaxConns = connections
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, connectTimeout)
	if c.ValidateConnect == nil { // Unless target_session_attrs says otherwise.
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	for name, value := range map[string]string{
		"application_name": applicationName,
		// A server notices within these that who holds its locks is no longer there.
		"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "3",
		"idle_in_transaction_session_timeout": "60s",
	} { // order-free: each is set if it is not
		if _, ok := c.RuntimeParams[name]; !ok {
			c.RuntimeParams[name] = value
		}
	}
	c.OnNotice = func(conn *pgconn.PgConn, n *pgconn.Notice) {
		if n.Code == warning {
			conn.CustomData()[unsynced] = true
		}
	}
	relaxed := cfg.Durability == store.Relaxed
	pool.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error { return setDurability(ctx, conn, relaxed) }
	return pool, nil
}

const (
	// warning is the code of what the server says when it was told to wait for its standby no longer.
	warning = "01000"
	// unsynced marks a connection by which it said so.
	unsynced = "unsynced"
)

// setDurability has a connection's commits be durable before they return, if its server's settings
// would not, or not.
func setDurability(ctx context.Context, conn *pgx.Conn, relaxed bool) error {
	var set string
	if err := conn.QueryRow(ctx, "SELECT current_setting('synchronous_commit')").Scan(&set); err != nil {
		return err
	}
	want := set
	switch {
	case relaxed:
		want = "off"
	case set == "off" || set == "local":
		want = "on"
	}
	if want == set {
		return nil
	}
	_, err := conn.Exec(ctx, "SELECT set_config('synchronous_commit', $1, false)", want)
	return err
}

// Durability implements lead.Database.
func (d *Database) Durability() store.Durability { return d.cfg.Durability }

// Close implements lead.Database.
func (d *Database) Close() error {
	if conn := <-d.listening; conn != nil {
		hangUp(conn)
	}
	if d.cfg.Registerer != nil {
		d.cfg.Registerer.Unregister(metrics{d.pool})
	}
	d.pool.Close()
	return nil
}

// hangUp closes a connection, politely if it can be done at once.
func hangUp(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // Nothing is lost with it.
}

// do has f work with a connection. One that failed is not used again: it may be to a server that can
// no longer be written to.
func (d *Database) do(ctx context.Context, f func(conn *pgx.Conn) error) error {
	if err := d.ensure(ctx); err != nil {
		return err
	}
	c, err := d.pool.Acquire(ctx)
	if err != nil {
		return explain(err)
	}
	defer c.Release()
	conn := c.Conn()
	data := conn.PgConn().CustomData()
	delete(data, unsynced)
	err = f(conn)
	if err == nil && data[unsynced] != nil {
		err = errUnsynced
	}
	if err = explain(err); err != nil && !certain(err) {
		hangUp(conn)
	}
	return err
}

// errUnsynced: the server did not wait for its standby.
var errUnsynced = errors.New("the server was told to wait for its synchronous standby no longer")

// SQLSTATEs of the functions of the schema.
const (
	stateReplaced = "FR001"
	stateNotNext  = "FR002"
)

// explain gives what the server says its meaning.
func explain(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	switch {
	case pg.Code == stateReplaced:
		return lead.ErrReplaced
	case pg.Code == stateNotNext:
		return lead.ErrNotNext
	case pg.Code == "53100": // disk_full
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	case pg.Code == "XX001", pg.Code == "XX002": // data_corrupted, index_corrupted
		return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	case len(pg.Code) == 5 && (pg.Code[:2] == "22" || pg.Code[:2] == "23" || pg.Code[:2] == "42"): // data, integrity, syntax or access
		return fmt.Errorf("%w: %w", lead.ErrRefused, err)
	}
	return err
}

// certain says whether an error says that nothing was changed.
func certain(err error) bool {
	return errors.Is(err, lead.ErrReplaced) || errors.Is(err, lead.ErrNotNext) || errors.Is(err, store.ErrFull) ||
		errors.Is(err, lead.ErrRefused) || errors.Is(err, store.ErrNotFound)
}

// lasts says whether an error will not go away by itself.
func lasts(err error) bool {
	if errors.Is(err, errFormat) || errors.Is(err, errNoTables) || errors.Is(err, lead.ErrRefused) {
		return true
	}
	var pg *pgconn.PgError
	return errors.As(err, &pg) && len(pg.Code) == 5 && (pg.Code[:2] == "28" || pg.Code[:2] == "3D" || pg.Code[:2] == "3F") // authorization, no such database or schema
}

// num is how the number of a record is stored: those from 2^63 on are negative, and come last.
func num(n uint64) int64 { return int64(n) } //nolint:gosec // On purpose.

// Get implements lead.Database. The value is the caller's.
func (d *Database) Get(ctx context.Context, k store.Key) (value []byte, err error) {
	table, err := tableOf(k.Kind)
	if err != nil {
		return nil, err
	}
	err = d.do(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, "SELECT num, part, parts, value FROM "+table+" WHERE num = $1 ORDER BY part", num(k.Num))
		if err != nil {
			return err
		}
		found := false
		err = eachValue(rows, func(_ uint64, v []byte) error {
			value, found = append(make([]byte, 0, len(v)), v...), true
			return nil
		})
		if err == nil && !found {
			return store.ErrNotFound
		}
		return err
	})
	return value, err
}

// Scan implements lead.Database. The server sends rows as they are read.
func (d *Database) Scan(ctx context.Context, kind store.RecordKind, from uint64, f func(num uint64, value []byte) error) error {
	table, err := tableOf(kind)
	if err != nil {
		return err
	}
	const q = " ORDER BY num, part"
	columns := "SELECT num, part, parts, value FROM " + table
	return d.do(ctx, func(conn *pgx.Conn) error {
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
		if err != nil {
			return err
		}
		defer tx.Rollback(ctx) //nolint:errcheck // It only read.
		if from <= math.MaxInt64 {
			rows, err := tx.Query(ctx, columns+" WHERE num >= $1"+q, num(from))
			if err == nil {
				err = eachValue(rows, f)
			}
			if err != nil {
				return err
			}
			from = 1 << 63
		}
		rows, err := tx.Query(ctx, columns+" WHERE num >= $1 AND num < 0"+q, num(from))
		if err != nil {
			return err
		}
		return eachValue(rows, f)
	})
}

// eachValue puts values together of their rows, and closes these.
func eachValue(rows pgx.Rows, f func(num uint64, value []byte) error) error {
	defer rows.Close()
	var key int64
	var part, parts, of int32
	var bytes pgtype.DriverBytes
	var whole []byte // of a value in several rows
	for rows.Next() {
		if err := rows.Scan(&key, &part, &parts, &bytes); err != nil {
			return err
		}
		switch {
		case part == 0 && parts == 1:
			whole, of = nil, 1
			if err := f(uint64(key), bytes); err != nil { //nolint:gosec // On purpose.
				return err
			}
			continue
		case part == 0:
			whole, of = append(make([]byte, 0, int(parts)*PartBytes), bytes...), parts
		case part >= of:
			continue // It is left of a value that was longer.
		default:
			whole = append(whole, bytes...)
		}
		if part == of-1 {
			if err := f(uint64(key), whole); err != nil { //nolint:gosec // On purpose.
				return err
			}
		}
	}
	return rows.Err()
}

package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
	"github.com/frayrpc/fray/fray/store/pebblestore"
	"github.com/frayrpc/fray/fray/store/pgstore"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/endpoint"
)

// storeOptions say where a controller keeps its records. Without a directory it keeps them in
// memory.
type storeOptions struct {
	dataDir    string
	url        string // of a database that other controllers have, too
	advertise  string
	inMemory   bool
	durability string
	backupDir  string
	spillDir   string
}

const (
	// defaultDataDir is where a controller keeps its records if nobody says otherwise.
	defaultDataDir = "fray-data"

	durabilitySync    = "sync"
	durabilityRelaxed = "relaxed"
)

func addStoreFlags(cmd *cobra.Command, o *storeOptions, dataDir string) {
	cmd.Flags().StringVar(&o.dataDir, "data-dir", dataDir, "keep tasks and results in this `directory`; made if it is not there")
	command.OneOf(cmd.Flags(), &o.durability, "durability", "", durabilitySync,
		"what is safe before it is acknowledged: sync to the disk, or relaxed, where a crash takes the last moments", durabilitySync, durabilityRelaxed)
	cmd.Flags().StringVar(&o.spillDir, "spill-dir", "", "without a data directory, keep large inputs and results in unnamed files in this `directory` (default: the one for temporary files)")
	cmd.Flags().StringVar(&o.backupDir, "backup-dir", "", "where fray backup puts copies (default: the data directory's name with -backups)")
}

// addSharedStoreFlags adds what has several controllers share a database.
func addSharedStoreFlags(cmd *cobra.Command, o *storeOptions) {
	cmd.Flags().StringVar(&o.url, "store", "", "keep tasks and results in the PostgreSQL database at this `URL`, such as postgres://fray@db.example.com/fray, for several controllers of which one leads; give the password by PGPASSWORD, or a file by PGPASSFILE")
	cmd.Flags().StringVar(&o.advertise, "advertise", "", "with --store, the `address` at which clients and workers reach this controller (default: where it listens)")
}

// isPostgres says whether a URL is one of PostgreSQL.
func isPostgres(u *url.URL) bool { return u.Scheme == "postgres" || u.Scheme == "postgresql" }

// checkShared returns what is wrong with what is said of a shared database.
func (o *storeOptions) checkShared(listen string) error {
	if o.url == "" {
		if o.advertise != "" {
			return command.UsageError("--advertise is for --store, with which there are several controllers")
		}
		return nil
	}
	u, err := url.Parse(o.url)
	if err != nil || !isPostgres(u) {
		return command.UsageError("--store must be like postgres://user@host/database") // It may have a password: it is not shown.
	}
	if o.advertise == "" {
		if host, _, err := net.SplitHostPort(listen); err == nil && (host == "" || net.ParseIP(host).IsUnspecified()) {
			return command.UsageError("--listen %s is no address that others can call: say with --advertise which is", listen)
		}
		return nil
	}
	if o.advertise, err = endpoint.Parse(o.advertise); err != nil || len(endpoint.List(o.advertise)) > 1 {
		return command.UsageError("--advertise must be one address, like https://host:port: %w", cmp.Or(err, errors.New("it has several")))
	}
	return nil
}

// openShared opens the database that several controllers share.
func (o *storeOptions) openShared(ctx context.Context, logger *slog.Logger, registerer prometheus.Registerer) (lead.Database, error) {
	if u, err := url.Parse(o.url); err == nil {
		warnOfPassword(u, "store", logger)
	}
	return pgstore.Open(ctx, pgstore.Config{
		URL: o.url, Durability: o.promised(logger, "three times the server's wal_writer_delay"), Logger: logger, Registerer: registerer,
	})
}

// warnOfPassword warns of one in a URL that an option has.
func warnOfPassword(u *url.URL, option string, logger *slog.Logger) {
	if _, has := u.User.Password(); has {
		logger.Warn("a password in a URL is seen by all users of this machine: give it by PGPASSWORD or PGPASSFILE", "option", option)
	}
}

// promised returns the durability that was asked for.
func (o *storeOptions) promised(logger *slog.Logger, within any) store.Durability {
	if o.durability == durabilityRelaxed {
		logger.Warn("durability is relaxed: a crash takes what was acknowledged in the last moments", "within", within)
		return store.Relaxed
	}
	return store.Sync
}

// open opens the store. Whoever asked for it closes it when the controller has ended.
func (o *storeOptions) open(logger *slog.Logger, registerer prometheus.Registerer) (store.Store, error) {
	if o.inMemory || o.dataDir == "" {
		s, err := store.NewSpilling(o.spillDir)
		if err != nil {
			if o.spillDir != "" {
				return nil, err
			}
			logger.Warn("large results are kept in memory: pass --spill-dir a directory for them", "error", err)
			return store.NewMemory(), nil
		}
		return s, nil
	}
	durability := o.promised(logger, pebblestore.RelaxedInterval)
	s, err := pebblestore.Open(pebblestore.Config{Dir: o.dataDir, Durability: durability, Logger: logger, Registerer: registerer})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// backups is where copies of the store go; empty: there is nothing to copy.
func (o *storeOptions) backups() string {
	if o.backupDir == "" && o.dataDir != "" && !o.inMemory && o.url == "" {
		return filepath.Clean(o.dataDir) + "-backups"
	}
	return o.backupDir
}

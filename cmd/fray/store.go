package main

import (
	"log/slog"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
	"github.com/frayrpc/fray/internal/command"
)

// storeOptions say where a controller keeps its records. Without a directory it keeps them in
// memory.
type storeOptions struct {
	dataDir    string
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
	durability := store.Sync
	if o.durability == durabilityRelaxed {
		durability = store.Relaxed
		logger.Warn("durability is relaxed: a crash takes what was acknowledged in the last moments", "within", pebblestore.RelaxedInterval)
	}
	s, err := pebblestore.Open(pebblestore.Config{Dir: o.dataDir, Durability: durability, Logger: logger, Registerer: registerer})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// backups is where copies of the store go; empty: there is nothing to copy.
func (o *storeOptions) backups() string {
	if o.backupDir == "" && o.dataDir != "" && !o.inMemory {
		return filepath.Clean(o.dataDir) + "-backups"
	}
	return o.backupDir
}

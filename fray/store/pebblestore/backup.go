package pebblestore

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/frayrpc/fray/fray/store"
)

// partialSuffix is what the directory of an unfinished backup has at the end of its name.
const partialSuffix = ".partial"

// Backup copies the store as it is at some moment of the call to a new directory, which has all commits that were
// acknowledged before. It can be opened as any other, and takes room only as the two drift apart if it is on the same
// filesystem. The copy is checked before it gets its name.
func (s *Store) Backup(dir string) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	err := s.backup(dir)
	if err == nil {
		err = s.disk.failure()
	}
	if err != nil {
		return fmt.Errorf("back up %s to %s: %w", s.cfg.Dir, dir, err)
	}
	return nil
}

func (s *Store) backup(dir string) error {
	fsys := s.cfg.FS
	dir, err := canonical(fsys, dir)
	if err != nil {
		return err
	}
	partial := dir + partialSuffix
	switch {
	case s.cfg.ReadOnly:
		return errReadOnly
	case s.disk.owns(dir):
		return errors.New("a backup cannot be inside of what it copies")
	case s.disk.waiting.Load() > 0:
		return store.ErrFull
	}
	if err := absent(fsys, dir, "it exists already; pass a new directory"); err != nil {
		return err
	}
	if err := absent(fsys, partial, "it was left behind by a backup that was interrupted; remove it"); err != nil {
		return err
	}
	if err := makeDir(fsys, partial); err != nil {
		return err
	}
	err = s.copyTo(partial)
	if err == nil {
		err = errors.Join(fsys.Rename(partial, dir), syncDir(fsys, fsys.PathDir(dir)))
	}
	if err != nil {
		return errors.Join(err, fsys.RemoveAll(partial))
	}
	return nil
}

// copyTo copies the store to an empty directory.
func (s *Store) copyTo(dir string) error {
	fsys := s.cfg.FS
	if err := s.flush(); err != nil {
		return err
	}
	acknowledged := s.synced.reached.Load()
	if err := writeFile(fsys, dir, beginFile, marker(formatVersion)); err != nil {
		return err
	}
	if err := s.checkpoint(fsys.PathJoin(dir, dbDir)); err != nil {
		return err
	}
	c, err := s.checkCopy(dir, acknowledged)
	if err != nil {
		return err
	}
	return complete(fsys, dir, c.last)
}

// checkpoint has Pebble copy its files.
func (s *Store) checkpoint(dir string) (err error) {
	defer func() { // Pebble panics if it cannot sync the copy.
		if r := recover(); r != nil {
			err = asError(r)
		}
	}()
	return s.db.Checkpoint(dir)
}

// checkCopy returns what is in a copy, which must have all acknowledged commits.
func (s *Store) checkCopy(dir string, acknowledged uint64) (commits, error) {
	cfg := s.cfg
	cfg.Dir = dir
	db, err := openPebble(cfg, newDisk(cfg, true), nil, true)
	if err != nil {
		return commits{}, err
	}
	c, err := readCommits(db)
	if err == nil {
		err = checkCommits(c, acknowledged, cfg.FS, cfg.FS.PathJoin(dir, dbDir))
	}
	return c, errors.Join(err, db.Close())
}

// absent returns an error if there is something at path already.
func absent(fsys vfs.FS, path, otherwise string) error {
	_, err := fsys.Stat(path)
	switch {
	case err == nil:
		return fmt.Errorf("%s: %s: %w", path, otherwise, fs.ErrExist)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return err
	}
}

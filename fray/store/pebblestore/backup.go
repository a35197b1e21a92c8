package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/frayrpc/fray/fray/store"
)

// partialSuffix is what the directory of an unfinished backup has at the end of its name.
const partialSuffix = ".partial"

// noteFile is the file in a backup's directory that has its note.
const noteFile = "BACKUP"

// makingFile is the file in an unfinished backup's directory that the process that makes it holds
// locked.
const makingFile = "MAKING"

// copying is the backup that is being made. There is one at a time.
type copying struct {
	ctx    context.Context //nolint:containedctx // Pebble takes none with the files that it copies.
	copied *atomic.Int64
}

// Backup implements store.Backuper. The copy has all commits that were acknowledged before the
// call, and takes room only as the two drift apart if it is on the same filesystem. It is checked
// before it gets its name.
func (s *Store) Backup(ctx context.Context, dir string, b store.Backup) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	err := s.backup(ctx, dir, b)
	if err == nil {
		err = s.disk.failure()
	}
	if err != nil {
		return fmt.Errorf("back up %s to %s: %w", s.cfg.Dir, dir, err)
	}
	return nil
}

func (s *Store) backup(ctx context.Context, dir string, b store.Backup) error {
	fsys := s.cfg.FS
	dir, err := canonical(fsys, dir)
	if err != nil {
		return err
	}
	switch {
	case s.cfg.ReadOnly:
		return errReadOnly
	case s.disk.owns(dir):
		return errors.New("a backup cannot be inside of what it copies")
	case s.disk.waiting.Load() > 0:
		return store.ErrFull
	}
	if err := trusted(fsys, fsys.PathDir(dir)); err != nil {
		return fmt.Errorf("%s: %w", fsys.PathDir(dir), err)
	}
	if _, made := s.backups.LoadOrStore(dir, nil); made {
		return fmt.Errorf("%s: it is being made now: %w", dir, fs.ErrExist)
	}
	defer s.backups.Delete(dir)
	select {
	case s.copyTurn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.copyTurn }()
	c := &copying{ctx: ctx, copied: b.Copied}
	if c.copied == nil {
		c.copied = new(atomic.Int64)
	}
	s.disk.copying.Store(c)
	defer s.disk.copying.Store(nil)
	if err := absent(fsys, dir); err != nil {
		return err
	}
	partial := dir + partialSuffix
	making, err := s.claim(partial)
	if err != nil {
		return err
	}
	err = absent(fsys, dir) // Nor did another process make it meanwhile.
	if err == nil {
		err = s.copyTo(partial, b.Note)
	}
	err = errors.Join(err, fsys.Remove(fsys.PathJoin(partial, makingFile)), making.Close())
	if err == nil {
		err = errors.Join(fsys.Rename(partial, dir), syncDir(fsys, fsys.PathDir(dir)))
	}
	if err != nil {
		return errors.Join(err, fsys.RemoveAll(partial))
	}
	return nil
}

// claim makes the directory of an unfinished backup, in place of one that an interrupted backup
// left behind. The process that makes one has its makingFile locked.
func (s *Store) claim(partial string) (io.Closer, error) {
	fsys := s.cfg.FS
	if err := makeDir(fsys, partial); err != nil {
		return nil, err
	}
	making, err := fsys.Lock(fsys.PathJoin(partial, makingFile))
	if err != nil {
		var held heldError
		if errors.As(heldBy(err, partial), &held) {
			return nil, fmt.Errorf("%s: another process makes it now: %w", partial, fs.ErrExist)
		}
		return nil, errors.Join(err, fsys.RemoveAll(partial))
	}
	names, err := fsys.List(partial)
	for _, name := range names {
		if name != makingFile {
			err = errors.Join(err, fsys.RemoveAll(fsys.PathJoin(partial, name)))
		}
	}
	if err != nil {
		return nil, errors.Join(err, making.Close(), fsys.RemoveAll(partial))
	}
	return making, nil
}

// BackupNote implements store.Backuper.
func (s *Store) BackupNote(dir string) (string, error) {
	fsys := s.cfg.FS
	if _, err := fsys.Stat(fsys.PathJoin(dir, markerFile)); err != nil {
		return "", err
	}
	note, err := readFile(fsys, fsys.PathJoin(dir, noteFile))
	return string(note), err
}

// copyTo copies the store to a directory that has nothing.
func (s *Store) copyTo(dir, note string) error {
	fsys := s.cfg.FS
	if err := s.flush(); err != nil {
		return err
	}
	acknowledged := s.synced.reached.Load()
	if err := writeFile(fsys, dir, beginFile, marker(formatVersion)); err != nil {
		return err
	}
	if err := writeFile(fsys, dir, noteFile, note); err != nil {
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
	reader := newDisk(cfg, true)
	db, err := openPebble(cfg, reader, newCompactions(reader), nil, true)
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
func absent(fsys vfs.FS, path string) error {
	_, err := fsys.Stat(path)
	switch {
	case err == nil:
		return fmt.Errorf("%s: it exists already; pass a new directory: %w", path, fs.ErrExist)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return err
	}
}

// copyFile is a file of a backup.
type copyFile struct {
	vfs.File
	copying *copying
}

// Write counts what is copied, and stops when the backup is to.
func (f *copyFile) Write(p []byte) (int, error) {
	if f.copying.ctx.Err() != nil {
		return 0, context.Cause(f.copying.ctx)
	}
	n, err := f.File.Write(p)
	f.copying.copied.Add(int64(n))
	return n, err
}

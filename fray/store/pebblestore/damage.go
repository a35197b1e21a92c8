package pebblestore

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"

	"github.com/frayrpc/fray/fray/store"
)

// damageError says that a file does not hold what was written to it. It wraps store.ErrCorrupt.
type damageError struct {
	file  string
	cause error
}

func damaged(file string, cause error) error { return &damageError{file: file, cause: cause} }

func (e *damageError) Error() string {
	cause := strings.Join(strings.Fields(e.cause.Error()), " ")
	return fmt.Sprintf("%s is damaged: %s; restore a backup, or see what is left with: fray debug dump", e.file, cause)
}

func (e *damageError) Unwrap() []error { return []error{store.ErrCorrupt, e.cause} }

// namedFile finds the name of one of Pebble's files in an error of it.
var namedFile = regexp.MustCompile(`\b(\d{6,}\.(?:sst|log|blob)|(?:MANIFEST|OPTIONS)-\d{6,}|marker\.[\w.-]+)\b|L\d: (\d{6,}):`)

// explain makes an error of Pebble's into one that names the damaged file, unless it is of another
// kind.
func explain(err error, fsys vfs.FS, db, lastOpened string) error {
	var corruption *pebble.DataCorruptionInfo
	var already *damageError
	switch {
	case err == nil, errors.As(err, &already), errors.Is(err, fs.ErrPermission), errors.As(err, new(heldError)), ofSystem(err):
		return err
	case pebble.IsCorruptionError(err):
		corruption = pebble.ExtractDataCorruptionInfo(err)
	}
	file := lastOpened
	if m := namedFile.FindStringSubmatch(err.Error()); m != nil {
		name := cmp.Or(m[1], m[2]+".sst")
		file = fsys.PathJoin(db, name)
	}
	if corruption != nil {
		file = corruption.Path
	}
	file = cmp.Or(file, db)
	return damaged(file, err)
}

// ofSystem says whether an error says something of the machine and nothing of the files, so that
// the same files may well open later.
func ofSystem(err error) bool {
	var no syscall.Errno
	if !errors.As(err, &no) {
		return false
	}
	switch no {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EINTR, syscall.ENOLCK:
		return true
	default:
		return false
	}
}

// checkCommits returns an error if a commit is missing that the store acknowledged.
func checkCommits(c commits, synced uint64, fsys vfs.FS, db string) error {
	switch {
	case c.count != c.last:
		return damaged(suspect(fsys, db), fmt.Errorf("of the commits up to number %d, %d are missing", c.last, c.last-c.count))
	case c.last < synced:
		return damaged(suspect(fsys, db), fmt.Errorf("the last commit in it has number %d, and number %d was acknowledged",
			c.last, synced))
	default:
		return nil
	}
}

// suspect names the file that commits are most likely missing from: the list of tables or the
// newest log, whichever breaks off, or else the directory.
func suspect(fsys vfs.FS, db string) string {
	names, err := fsys.List(db)
	if err != nil {
		return db
	}
	slices.Sort(names)
	for _, name := range names {
		if path := fsys.PathJoin(db, name); strings.HasPrefix(name, "MANIFEST-") && !manifestEnds(fsys, path) {
			return path
		}
	}
	logs, err := wal.Scan(wal.Dir{FS: fsys, Dirname: db})
	if err != nil || len(logs) == 0 {
		return db
	}
	for _, l := range slices.Backward(logs) {
		if !logEnds(l) {
			return logPath(l)
		}
	}
	return logPath(logs[len(logs)-1])
}

func logPath(l wal.LogicalLog) string {
	_, path := l.SegmentLocation(0)
	return path
}

func logEnds(l wal.LogicalLog) bool {
	r := l.OpenForRead()
	defer r.Close()
	for {
		if _, _, err := r.NextRecord(); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

func manifestEnds(fsys vfs.FS, path string) bool {
	f, err := fsys.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	r := record.NewReader(f, 0)
	for {
		next, err := r.Next()
		if err == nil {
			_, err = io.Copy(io.Discard, next)
		}
		if err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

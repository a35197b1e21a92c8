package pebblestore

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// What a data directory consists of, together with syncedFile.
const (
	markerFile = "FRAY"     // says what the directory is; written last, by renaming
	beginFile  = "FRAY.new" // the same until the directory is complete
	dbDir      = "db"       // Pebble's
	lockFile   = "LOCK"     // in dbDir; the process that has it locked has the directory
)

// formatVersion is the version of the directory's layout and of all that is in it.
const formatVersion = 1

const dirMode = 0o700

var markerText = regexp.MustCompile(`^fray data directory, format ([1-9][0-9]{0,8})\n$`)

func marker(version int) string { return fmt.Sprintf("fray data directory, format %d\n", version) }

// inspect tells whether dir holds a complete store; if not, it can be created there.
func inspect(fsys vfs.FS, dir string) (exists bool, err error) {
	info, err := fsys.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case !info.IsDir():
		return false, errors.New("it is not a directory")
	}
	names, err := fsys.List(dir)
	if err != nil {
		return false, err
	}
	slices.Sort(names)
	switch {
	case slices.Contains(names, markerFile):
		return true, checkMarker(fsys, fsys.PathJoin(dir, markerFile))
	case len(names) == 0, slices.Contains(names, beginFile):
		return false, nil // Empty, or left behind by a creation that was interrupted.
	case len(names) == 1 && names[0] == dbDir:
		inDB, err := fsys.List(fsys.PathJoin(dir, dbDir))
		if err != nil {
			return false, err
		}
		if len(inDB) == 0 || len(inDB) == 1 && inDB[0] == lockFile {
			return false, nil // The creation was interrupted at its very beginning.
		}
	}
	return false, fmt.Errorf("it is not a Fray data directory: it has %s but no %s file; pass an empty or new directory",
		some(names), markerFile)
}

// some names the first three names.
func some(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// checkMarker returns an error unless this version of Fray understands the directory that a marker
// is of.
func checkMarker(fsys vfs.FS, path string) error {
	text, err := readFile(fsys, path)
	if err != nil {
		return err
	}
	m := markerText.FindSubmatch(text)
	if m == nil {
		return damaged(path, fmt.Errorf("it does not read %q", marker(formatVersion)))
	}
	version, err := strconv.Atoi(string(m[1]))
	if err != nil {
		return damaged(path, err)
	}
	if version > formatVersion {
		return fmt.Errorf("it has format %d, written by a newer Fray, and this one knows formats up to %d; upgrade fray",
			version, formatVersion)
	}
	return nil
}

// begin prepares a locked directory for a new database in it. Until complete, it can be repeated.
func begin(fsys vfs.FS, dir string) error {
	if err := writeFile(fsys, dir, beginFile, marker(formatVersion)); err != nil {
		return err
	}
	db := fsys.PathJoin(dir, dbDir)
	names, err := fsys.List(db)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names { // What an interrupted creation left.
		if name == lockFile {
			continue
		}
		if err := fsys.Remove(fsys.PathJoin(db, name)); err != nil {
			return err
		}
	}
	return nil
}

// complete makes a created directory one that inspect finds.
func complete(fsys vfs.FS, dir string, commits uint64) error {
	if err := createSynced(fsys, fsys.PathJoin(dir, syncedFile), commits); err != nil {
		return err
	}
	if err := syncDir(fsys, dir); err != nil {
		return err
	}
	if err := fsys.Rename(fsys.PathJoin(dir, beginFile), fsys.PathJoin(dir, markerFile)); err != nil {
		return err
	}
	return syncDir(fsys, dir)
}

// writeFile creates a file with text and syncs both.
func writeFile(fsys vfs.FS, dir, name, text string) error {
	f, err := fsys.Create(fsys.PathJoin(dir, name), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(text))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDir(fsys, dir)
}

// makeDir creates a directory and its missing parents, and syncs what has a new entry.
func makeDir(fsys vfs.FS, dir string) error {
	var parents []string
	for path := dir; ; {
		_, err := fsys.Stat(path)
		if err == nil {
			break
		}
		parent := fsys.PathDir(path)
		if !errors.Is(err, fs.ErrNotExist) || parent == path {
			return err
		}
		parents = append(parents, parent)
		path = parent
	}
	if err := fsys.MkdirAll(dir, dirMode); err != nil {
		return err
	}
	for _, parent := range parents {
		if err := syncDir(fsys, parent); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(fsys vfs.FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// canonical returns the one path by which a directory of the disk is known, so that it is not
// opened twice.
func canonical(fsys vfs.FS, dir string) (string, error) {
	if vfs.Root(fsys) != vfs.Default {
		return dir, nil
	}
	path, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	resolved, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil
	}
	return resolved, err
}

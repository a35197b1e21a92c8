package maprun

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/frayrpc/fray/fray/worker/execfn"
)

const (
	// spoolPattern is what the folder of a map is called, and spoolLock the file in it that its map
	// holds a lock on.
	spoolPattern = "fray-map-*"
	spoolLock    = "lock"
	// maxSpoolsSwept bounds how many folders of maps that were killed one map removes.
	maxSpoolsSwept = 100
	// spoolInline is how long an output becomes before it waits in a file and not in memory.
	spoolInline = 4 << 10
)

// A Spool is a folder of files with what commands have printed, until it is their turn. Its owner
// closes it; if that is killed, the workers remove the folder, and if they are killed, too, a later
// map does.
type Spool struct {
	path string
	root *os.Root
	lock io.Closer
}

// NewSpool makes a folder in parent, or in the system's folder for temporary files if that is
// empty. It removes those of maps that were killed.
func NewSpool(parent string) (*Spool, error) {
	parent = cmp.Or(parent, os.TempDir())
	parent, err := filepath.Abs(parent)
	if err != nil {
		return nil, fmt.Errorf("find the folder for waiting output: %w", err)
	}
	sweepSpools(parent)
	path, err := os.MkdirTemp(parent, spoolPattern)
	if err != nil {
		return nil, &ArgumentError{fmt.Errorf("make a folder for output that waits for its turn, see --buffer-dir: %w", err)}
	}
	s := &Spool{path: path}
	if s.lock, err = lockFile(filepath.Join(path, spoolLock), os.O_CREATE); err == nil {
		s.root, err = os.OpenRoot(path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a folder for output that waits for its turn: %w", err), s.Close())
	}
	return s, nil
}

// sweepSpools removes what is left of maps that were killed with all of their workers.
func sweepSpools(parent string) {
	paths, _ := filepath.Glob(filepath.Join(parent, spoolPattern))
	for _, path := range paths[:min(len(paths), maxSpoolsSwept)] {
		name := filepath.Join(path, spoolLock)
		if info, err := os.Lstat(name); err != nil || !info.Mode().IsRegular() {
			continue // its map is just making it, or it is none
		}
		lock, err := lockFile(name, 0) // Its map may just be removing it, and would find a new one in its way.
		if err != nil {
			continue // its map lives, or it is another user's
		}
		_ = os.RemoveAll(path) // the next one may be luckier
		_ = lock.Close()
	}
}

// Path is the folder, in which workers of this machine write outputs.
func (s *Spool) Path() string { return s.path }

// Close removes the folder.
func (s *Spool) Close() error {
	var errs []error
	if s.root != nil {
		errs = append(errs, s.root.Close())
	}
	errs = append(errs, os.RemoveAll(s.path))
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// spoolFile is what files of outputs are called in the folder of their task.
var spoolFile = regexp.MustCompile(`^[0-9]+\.(out|err)$`)

// open opens the file that a worker of this machine says has an output of a task. It takes the
// worker's word for nothing but the number of the attempt.
func (s *Spool) open(taskID string, more *execfn.More) (*os.File, error) {
	folder, name := filepath.Split(more.File)
	if folder != execfn.OutputFolder(taskID)+"/" || !spoolFile.MatchString(name) {
		return nil, fmt.Errorf("the worker names %q as the file of the output, which is not one of its task", more.File)
	}
	info, err := s.root.Lstat(more.File)
	if err != nil {
		return nil, fmt.Errorf("find output: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() != more.Bytes {
		return nil, fmt.Errorf("the file of the output has %d bytes, and the output had %d", info.Size(), more.Bytes)
	}
	return s.root.Open(more.File)
}

// save writes data to a new file, as a worker would have.
func (s *Spool) save(taskID, name string, data []byte) (*execfn.More, error) {
	file, path, err := s.create(taskID, name)
	if err != nil {
		return nil, err
	}
	_, err = file.Write(data)
	return &execfn.More{Bytes: int64(len(data)), File: path}, errors.Join(err, file.Close())
}

// create makes a new file of a task, and returns it with its name in the spool.
func (s *Spool) create(taskID, name string) (*os.File, string, error) {
	const folderMode, fileMode = 0o700, 0o600 // for the owner only
	folder := execfn.OutputFolder(taskID)
	if err := s.root.MkdirAll(folder, folderMode); err != nil {
		return nil, "", err
	}
	path := folder + "/" + name
	file, err := s.root.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	return file, path, err
}

// saveInput writes a block of input to a file, and returns its name in the spool.
func (s *Spool) saveInput(number int, data []byte) (string, error) {
	const fileMode = 0o600 // for the owner only
	name := "input-" + strconv.Itoa(number)
	return name, s.root.WriteFile(name, data, fileMode)
}

// newest returns the file of a task's last attempt that has an output, "out" or "err"; empty: there is none.
func (s *Spool) newest(taskID, which string) string {
	folder := execfn.OutputFolder(taskID)
	dir, err := s.root.Open(folder)
	if err != nil {
		return ""
	}
	defer dir.Close() //nolint:errcheck // It was only read.
	names, _ := dir.Readdirnames(-1)
	best, name := 0, ""
	for _, candidate := range names {
		digits, ok := strings.CutSuffix(candidate, "."+which)
		if n, err := strconv.Atoi(digits); ok && err == nil && n > best {
			best, name = n, folder+"/"+candidate
		}
	}
	return name
}

// tasks returns those that have files.
func (s *Spool) tasks() []string {
	dir, err := s.root.Open(".")
	if err != nil {
		return nil
	}
	defer dir.Close() //nolint:errcheck // It was only read.
	entries, _ := dir.ReadDir(-1)
	var ids []string
	for _, entry := range entries {
		if id, err := url.PathUnescape(entry.Name()); err == nil && entry.IsDir() {
			ids = append(ids, id)
		}
	}
	return ids
}

// An ArgumentError is about what the user named: a directory.
type ArgumentError struct{ error }

// Unwrap returns the error without its kind.
func (e *ArgumentError) Unwrap() error { return e.error }

// drop removes the files of a task.
func (s *Spool) drop(taskID string) error { return s.root.RemoveAll(execfn.OutputFolder(taskID)) }

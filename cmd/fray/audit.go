package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/internal/command"
)

const (
	auditLogOption = "audit-log"
	// auditLook is how often the file is looked for at its path, at most.
	auditLook = time.Second
	// auditGap is the least time between two words on an audit that cannot be written.
	auditGap = 10 * time.Second
)

func addAuditFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, auditLogOption, "",
		"append a line of JSON to this `file` for each call that changes something or is refused; - is the standard error")
}

// openAudit returns the log that a file, or with - the standard error, gets lines of; nil: there is
// none. Its owner closes it.
func (a *app) openAudit(file string, log *slog.Logger) (audit *slog.Logger, closeAudit func() error, err error) {
	nothing := func() error { return nil }
	switch file {
	case "":
		return nil, nothing, nil
	case "-":
		return newAudit(a.Stderr), nothing, nil
	}
	f := &auditFile{path: file, log: log}
	if err := f.open(); err != nil {
		return nil, nil, command.UsageError("--%s: %w", auditLogOption, err)
	}
	return newAudit(f), f.close, nil
}

func newAudit(w io.Writer) *slog.Logger { return slog.New(slog.NewJSONHandler(w, nil)) }

// auditFile is a file to which lines are appended, and which is made anew when it was moved away or
// removed. A line that cannot be written is lost, which the log is told: the call that it tells of has
// been made.
type auditFile struct {
	path string
	log  *slog.Logger

	mu     sync.Mutex
	file   *os.File
	looked time.Time
	told   time.Time
	lost   int // lines, since then
}

func (f *auditFile) open() error {
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the audit log: %w", err)
	}
	f.file, f.looked = file, time.Now()
	return nil
}

// Write implements io.Writer: it appends a line.
func (f *auditFile) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.follow()
	n := 0
	if f.file != nil {
		var failed error
		if n, failed = f.file.Write(line); failed == nil {
			return n, nil
		}
		err = errors.Join(err, failed)
	}
	f.lost++
	if now := time.Now(); now.Sub(f.told) >= auditGap {
		f.log.Error("lines of the audit log are lost", "count", f.lost, "error", err)
		f.told, f.lost = now, 0
	}
	return n, err
}

// follow opens the file anew if what is at its path is not what is open.
func (f *auditFile) follow() error {
	now := time.Now()
	if f.file != nil && now.Sub(f.looked) < auditLook {
		return nil
	}
	f.looked = now
	if f.file == nil {
		return f.open()
	}
	there, err := os.Stat(f.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil // It is written where it was.
	}
	if err == nil {
		if mine, err := f.file.Stat(); err == nil && os.SameFile(mine, there) {
			return nil
		}
	}
	err = f.file.Close()
	f.file = nil
	return errors.Join(f.open(), err)
}

func (f *auditFile) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}

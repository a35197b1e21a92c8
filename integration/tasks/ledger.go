package tasks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/frayrpc/fray/fray"
)

// Entry is a line of a ledger: what an attempt did to the world outside, whatever a controller
// believes of it.
type Entry struct {
	Task    string
	Attempt int
	Worker  string
	Event   string
}

// record appends an entry for the attempt of ctx to the ledger at path. A line is one write, so
// that lines of several processes do not mix.
func record(ctx context.Context, path, event string) error {
	if path == "" {
		return nil
	}
	info, _ := fray.InTask(ctx)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s %d %s %s\n", info.TaskID, info.Attempt, info.WorkerID, event)
	return errors.Join(err, f.Close())
}

// ReadLedger returns the entries of the ledger at path, none if there is no such file.
func ReadLedger(path string) ([]Entry, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for line := range strings.Lines(string(data)) {
		var e Entry
		if _, err := fmt.Sscan(line, &e.Task, &e.Attempt, &e.Worker, &e.Event); err != nil {
			return nil, fmt.Errorf("parse ledger line %q: %w", line, err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// Package reread keeps what is made of files up to date: certificates, tokens and the like are renewed
// while who uses them runs.
//
//	v, err := reread.New(logger, "token", load, path)
//	use(v.Get())
package reread

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// interval is how often a file is asked whether it has changed, at most.
	interval = time.Second
	// MaxBytes bounds each file.
	MaxBytes = 1 << 20
)

// Value is made of files, and made again when they change. Its methods may be called concurrently.
type Value[T any] struct {
	log   *slog.Logger
	what  string
	load  func() (T, error)
	paths []string

	mu     sync.Mutex
	value  T
	asOf   []version
	looked time.Time
}

// version is what tells one content of a file from the next.
type version struct {
	modified time.Time
	size     int64
}

// New loads a value, which is made of the files at some paths, of which an empty one is none. What
// happens to it later is logged, as what it is.
func New[T any](log *slog.Logger, what string, load func() (T, error), paths ...string) (*Value[T], error) {
	v := &Value[T]{log: log, what: what, load: load, paths: paths, looked: time.Now()}
	v.asOf = v.versions() // Of before, so that a change meanwhile is seen next time.
	var err error
	v.value, err = load()
	return v, err
}

// Get returns the value as of the last content that could be loaded. It looks at the files once a
// second at most.
func (v *Value[T]) Get() T {
	v.mu.Lock()
	defer v.mu.Unlock()
	if time.Since(v.looked) < interval {
		return v.value
	}
	v.looked = time.Now()
	now := v.versions()
	if slices.EqualFunc(now, v.asOf, func(a, b version) bool { return a.modified.Equal(b.modified) && a.size == b.size }) {
		return v.value
	}
	v.asOf = now
	value, err := v.load()
	if err != nil {
		v.log.Error("a file has changed and cannot be used; what it said before counts", "of", v.what, "error", err)
		return v.value
	}
	v.log.Info("a file has changed and was read again", "of", v.what)
	v.value = value
	return value
}

// versions returns those of the files. One that is not there has none.
func (v *Value[T]) versions() []version {
	all := make([]version, 0, len(v.paths))
	for _, path := range v.paths {
		var now version
		if info, err := os.Stat(path); path != "" && err == nil {
			now = version{info.ModTime(), info.Size()}
		}
		all = append(all, now)
	}
	return all
}

// File returns a file's content, which has MaxBytes at most.
func File(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > MaxBytes {
		return nil, fmt.Errorf("%s has %d bytes; at most %d are allowed", path, info.Size(), MaxBytes)
	}
	return os.ReadFile(path)
}

// Package counter is a service as people write them, with net/http and os alone: a number in a file,
// to which requests add.
package counter

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// counter is the number and where it is kept.
type counter struct {
	file string

	mu sync.Mutex
	n  int
}

// Serve serves the counter of a directory: POST /add adds one and answers with the sum, GET /count
// answers with it.
func Serve(addr, dir string) error {
	c, err := open(dir)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add", c.add)
	mux.HandleFunc("GET /count", c.count)
	return http.ListenAndServe(addr, mux)
}

func open(dir string) (*counter, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c := &counter{file: filepath.Join(dir, "count")}
	text, err := os.ReadFile(c.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, nil
	case err != nil:
		return nil, err
	}
	if c.n, err = strconv.Atoi(string(text)); err != nil {
		return nil, fmt.Errorf("%s: %w", c.file, err)
	}
	return c, nil
}

func (c *counter) add(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.save(c.n + 1); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	c.n++
	fmt.Fprint(w, c.n)
}

func (c *counter) count(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprint(w, c.n)
}

// save writes a number in place of the old one, so that loss of power leaves the one or the other.
func (c *counter) save(n int) error {
	f, err := os.Create(c.file + ".new")
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := fmt.Fprint(f, n); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), c.file); err != nil {
		return err
	}
	return syncDir(filepath.Dir(c.file))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

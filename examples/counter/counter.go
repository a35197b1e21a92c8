// Package counter is a small service that is built to be simulated, and what it is as a subject of
// scenarios: a number in a file, to which requests add. It is an example of package simtest.
//
//	go run ./examples/counter/simulate --scenario power-loss      in virtual time
//	go run ./examples/counter/serve -listen 127.0.0.1:8080        for real
package counter

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"sync"
)

// Files is where a counter keeps its number: the directory of a disk.
type Files interface {
	ReadFile(name string) ([]byte, error)
	// Replace has a file hold some data, so that a loss of power leaves it as it was or as it is.
	Replace(name string, data []byte) error
}

const file = "count"

// A Counter is the service: POST /add adds one and answers with the sum, GET /count answers with
// it.
type Counter struct {
	files Files

	mu sync.Mutex
	n  int
}

// Open returns the counter whose number is in some files, or 0 if they have none.
func Open(files Files) (*Counter, error) {
	c := &Counter{files: files}
	text, err := files.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, nil
	case err != nil:
		return nil, err
	}
	if c.n, err = strconv.Atoi(string(text)); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// Handler serves the counter.
func (c *Counter) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add", c.add)
	mux.HandleFunc("GET /count", c.count)
	return mux
}

func (c *Counter) add(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.files.Replace(file, strconv.AppendInt(nil, int64(c.n)+1, 10)); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	c.n++
	fmt.Fprint(w, c.n)
}

func (c *Counter) count(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprint(w, c.n)
}

//go:build unix

package raytest

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/frayrpc/fray/fray/internal/rayjobs"
)

// Config says what a Server is like.
type Config struct {
	// Dir is where it unpacks.
	Dir string
	// Version is that of Ray. Empty: 2.60.0.
	Version string
	// Token must be shown with every call. Empty: none need be.
	Token string
}

// Answer is given in place of another.
type Answer struct {
	Status int
	// Type is that of the Text. Empty: it is plain.
	Type, Text string
	Location   string
	// Late has the call take effect before that; otherwise it has none.
	Late bool
	// Drop breaks the connection in place of an answer.
	Drop bool
	// Wait holds the answer back until it is closed, or the caller has gone. Nil: nothing does.
	Wait <-chan struct{}
}

// Fault says what becomes of a call; nil: nothing.
type Fault func(method, path string) *Answer

// Server is a cluster. Its methods may be called from several goroutines.
type Server struct {
	config Config
	http   *http.Server
	url    string
	served chan struct{}

	mu       sync.Mutex
	fault    Fault
	held     bool
	jobs     map[string]*job
	order    []string
	packages map[string]bool
	calls    []string
}

// Start starts a server on a port of loopback. Its user closes it.
func Start(config Config) (*Server, error) {
	if config.Version == "" {
		config.Version = "2.60.0"
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // It takes no time.
	if err != nil {
		return nil, err
	}
	s := &Server{
		config: config, url: "http://" + listener.Addr().String(), served: make(chan struct{}),
		jobs: make(map[string]*job), packages: make(map[string]bool),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/version", s.version)
	mux.HandleFunc("GET /api/packages/gcs/{name}", s.hasPackage)
	mux.HandleFunc("PUT /api/packages/gcs/{name}", s.putPackage)
	mux.HandleFunc("POST /api/jobs/{$}", s.submit)
	mux.HandleFunc("GET /api/jobs/{id}", s.status)
	mux.HandleFunc("GET /api/jobs/{id}/logs", s.logs)
	mux.HandleFunc("POST /api/jobs/{id}/stop", s.stop)
	s.http = &http.Server{Handler: s.faulty(mux)}
	go func() {
		defer close(s.served)
		_ = s.http.Serve(listener) // It ends with Close.
	}()
	return s, nil
}

// URL is that of the dashboard.
func (s *Server) URL() string { return s.url }

// SetFault has calls go wrong from now on. Nil: none does.
func (s *Server) SetFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Hold has jobs that come stay PENDING from now on.
func (s *Server) Hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = true
}

// Close kills what runs, and ends the server.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.served
	s.mu.Lock()
	jobs := make([]*job, 0, len(s.order))
	for _, id := range s.order {
		jobs = append(jobs, s.jobs[id])
	}
	s.mu.Unlock()
	for _, j := range jobs {
		j.kill()
		<-j.gone
	}
	return err
}

// Calls returns the calls that came so far, such as "POST /api/jobs/".
func (s *Server) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// faulty looks at the token, and lets faults happen.
func (s *Server) faulty(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.calls = append(s.calls, r.Method+" "+r.URL.Path)
		var answer *Answer
		if s.fault != nil {
			answer = s.fault(r.Method, r.URL.Path)
		}
		s.mu.Unlock()
		if answer != nil {
			if answer.Late {
				next.ServeHTTP(discard{w.Header().Clone()}, r)
			}
			answer.give(w, r)
			return
		}
		switch shown := r.Header.Get("Authorization"); {
		case s.config.Token == "" || shown == "Bearer "+s.config.Token:
			next.ServeHTTP(w, r)
		case shown == "":
			text(w, http.StatusUnauthorized, "Unauthorized: Missing authentication token")
		default:
			text(w, http.StatusForbidden, "Forbidden: Invalid authentication token")
		}
	})
}

func (a *Answer) give(w http.ResponseWriter, r *http.Request) {
	if a.Wait != nil {
		select {
		case <-a.Wait:
		case <-r.Context().Done():
		}
	}
	if a.Drop {
		panic(http.ErrAbortHandler)
	}
	if a.Type != "" {
		w.Header().Set("Content-Type", a.Type)
	}
	if a.Location != "" {
		w.Header().Set("Location", a.Location)
	}
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Text) // The caller may have gone.
}

// discard is where answers go that nobody gets.
type discard struct{ header http.Header }

func (d discard) Header() http.Header          { return d.header }
func (discard) Write(data []byte) (int, error) { return len(data), nil }
func (discard) WriteHeader(int)                {}
func text(w http.ResponseWriter, status int, format string, args ...any) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, format, args...)
}

func answer(w http.ResponseWriter, message any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if err := json.NewEncoder(w).Encode(message); err != nil {
		return // The caller has gone.
	}
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]string{"version": "4", "ray_version": s.config.Version, "ray_commit": "0000000", "session_name": "session"})
}

func (s *Server) hasPackage(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.packages[name] {
		text(w, http.StatusNotFound, "Package gcs://%s does not exist", name)
	}
}

func (s *Server) putPackage(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if filepath.Base(name) != name {
		text(w, http.StatusInternalServerError, "Traceback (most recent call last):\n  File \"x.py\"\nValueError: %s", name)
		return
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, rayjobs.MaxPackageBytes))
	if err != nil {
		text(w, http.StatusRequestEntityTooLarge, "Maximum request body size %d exceeded.", rayjobs.MaxPackageBytes)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.packages[name] {
		return // It is named after what is in it.
	}
	if err := unpack(data, s.packageDir(name)); err != nil {
		text(w, http.StatusInternalServerError, "Traceback (most recent call last):\n  File \"x.py\"\nzipfile.BadZipFile: %v", err)
		return
	}
	s.packages[name] = true
}

func (s *Server) packageDir(name string) string {
	return filepath.Join(s.config.Dir, strings.TrimSuffix(name, ".zip"))
}

// ForgetPackages has the cluster clean up what it was given.
func (s *Server) ForgetPackages() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.packages { // order-free: all go
		if err := os.RemoveAll(s.packageDir(name)); err != nil {
			return err
		}
	}
	clear(s.packages)
	return nil
}

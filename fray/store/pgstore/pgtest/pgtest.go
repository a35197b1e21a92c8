// Package pgtest runs PostgreSQL servers for tests: Debian's, or whatever is installed, each in a
// directory and on a port of its own on loopback, with nothing left of it afterwards.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"

	"github.com/frayrpc/fray/internal/children"
	"github.com/frayrpc/fray/internal/number"
)

// Require is the variable that has tests fail, rather than be skipped, where PostgreSQL is not installed.
const Require = "FRAY_REQUIRE_POSTGRES"

// patience is how long a server may take to start, to stop, or to be promoted.
const patience = time.Minute

// bin returns the directory of the server's programs, or "".
func bin() string {
	for _, dir := range installed() {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err == nil {
			return dir
		}
	}
	return ""
}

// installed are the directories to look in, the newest version first.
func installed() []string {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // The pattern is good.
	slices.SortFunc(dirs, func(a, b string) int { return version(b) - version(a) })
	if path, err := exec.LookPath("initdb"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	return dirs
}

func version(dir string) int {
	v, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir))) // 0 is the oldest.
	return v
}

// Server is a PostgreSQL server.
type Server struct {
	bin, dir string
	port     int
	as       *syscall.Credential // nil: who runs the test
	cmd      *exec.Cmd           // nil: it does not run
	log      *os.File
	gone     chan struct{} // closed once its last process has ended
}

// Start makes and starts a server that is stopped when the test ends, with settings such as
// "synchronous_standby_names='*'". It skips the test, loudly, where PostgreSQL is not installed.
func Start(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	s, err := New(settings...)
	Need(tb, err)
	tb.Cleanup(func() {
		if err := s.Remove(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// Need ends a test for which no server could be made: it skips it if that is because PostgreSQL is
// not installed, unless it is required.
func Need(tb testing.TB, err error) {
	tb.Helper()
	if errors.Is(err, ErrNotInstalled) && os.Getenv(Require) == "" {
		tb.Skipf("SKIPPED, and what it tests is not tested: %v", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// ErrNotInstalled says that there is no server to start.
var ErrNotInstalled = errors.New("PostgreSQL is not installed: install the package postgresql")

// New makes and starts a server, which the caller removes.
func New(settings ...string) (*Server, error) {
	s, err := newServer()
	if err != nil {
		return nil, err
	}
	err = s.run("initdb", "--pgdata", s.data(), "--username", "fray", "--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync")
	if err == nil {
		err = s.configure(settings)
	}
	if err == nil {
		err = s.Run()
	}
	if err != nil {
		return nil, errors.Join(err, s.Remove())
	}
	return s, nil
}

func newServer() (*Server, error) {
	s := &Server{bin: bin()}
	if s.bin == "" {
		return nil, ErrNotInstalled
	}
	var err error
	if s.port, err = freePort(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "fray-postgres-"); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 { // It refuses to be root.
		if s.as, err = unprivileged(); err == nil {
			err = os.Chown(s.dir, int(s.as.Uid), int(s.as.Gid))
		}
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	return s, nil
}

func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := number.Parse[uint32](u.Uid, 0, math.MaxUint32)
		gid, gidErr := number.Parse[uint32](u.Gid, 0, math.MaxUint32)
		return &syscall.Credential{Uid: uid, Gid: gid}, errors.Join(uidErr, gidErr)
	}
	return nil, errors.New("there is neither a user postgres nor a user nobody to run PostgreSQL as")
}

// Ports of servers are below those that the system gives to connections, so that a server that was
// stopped can come back to its own, and below those that the end-to-end suite gives to controllers.
const firstPort, lastPort = 10_000, 20_000

// freePort returns a port that nobody listens on.
func freePort() (int, error) {
	for range lastPort - firstPort {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no port is free")
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// configure adds settings.
func (s *Server) configure(settings []string) error {
	f, err := os.OpenFile(filepath.Join(s.data(), "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "listen_addresses = '127.0.0.1'\nport = %d\nunix_socket_directories = ''\nhot_standby = on\nmax_wal_senders = 4\nwal_keep_size = 256MB\nshared_buffers = 64MB\n%s\n",
		s.port, strings.Join(settings, "\n"))
	return errors.Join(err, f.Close())
}

func (s *Server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as, Setpgid: true}
	children.DieWithParent(cmd.SysProcAttr, syscall.SIGQUIT)
	return cmd
}

// run runs a program to its end.
func (s *Server) run(name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if out, err := s.command(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// Run starts the server, and returns once it answers.
func (s *Server) Run() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	s.log = log
	s.cmd = s.command(context.Background(), "postgres", "-D", s.data())
	s.cmd.Stdout, s.cmd.Stderr = log, log
	// Its processes inherit the one end of a pipe: of the other end all is read once the last has ended.
	alive, held, err := os.Pipe()
	if err == nil {
		s.cmd.ExtraFiles = []*os.File{held}
		err = errors.Join(s.cmd.Start(), held.Close())
	}
	if err != nil {
		s.cmd = nil
		return errors.Join(err, log.Close())
	}
	s.gone = make(chan struct{})
	go func() {
		_ = s.cmd.Wait() // How it ended is of no interest.
		_, _ = io.Copy(io.Discard, alive)
		_ = alive.Close()
		close(s.gone)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL())
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.gone:
			return fmt.Errorf("PostgreSQL ended as it started: %s", s.lastLog())
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not answer: %w: %s", err, s.lastLog())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *Server) lastLog() string {
	const lines = 20
	log, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimSpace(log), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

// URL is how to connect to it, as one who may do everything.
func (s *Server) URL() string { return s.url("postgres") }

func (s *Server) url(database string) string {
	return fmt.Sprintf("postgres://fray@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}

// Address is where it listens.
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Stop ends the server with a signal, and returns once its last process has ended: SIGINT ends all
// connections first, SIGQUIT and SIGKILL are crashes, after which it recovers.
func (s *Server) Stop(sig syscall.Signal) error {
	if s.cmd == nil {
		return nil
	}
	err := s.cmd.Process.Signal(sig)
	select {
	case <-s.gone:
		err = nil
	case <-time.After(patience):
		err = errors.Join(err, fmt.Errorf("PostgreSQL did not end within %v of %v", patience, sig), syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL))
		<-s.gone
	}
	s.cmd = nil
	return errors.Join(err, s.log.Close())
}

// Remove stops the server and deletes all that it has.
func (s *Server) Remove() error {
	err := errors.Join(s.Stop(syscall.SIGQUIT), s.freeMemory(), os.RemoveAll(s.dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// freeMemory removes the segment of System V's shared memory that a server leaves behind that was
// killed, and that it would find again if it were started again.
func (s *Server) freeMemory() error {
	const memoryLine = 6 // of the file, from 0: the segment's key and id
	file, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	lines := strings.Split(string(file), "\n")
	if len(lines) <= memoryLine {
		return nil
	}
	var key, id int
	if _, err := fmt.Sscan(lines[memoryLine], &key, &id); err != nil {
		return nil //nolint:nilerr // It had none yet.
	}
	if _, err := unix.SysvShmCtl(id, unix.IPC_RMID, nil); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("remove a server's shared memory: %w", err)
	}
	return nil
}

// Schema makes an empty schema, and returns the URL of a database that has its tables there.
func (s *Server) Schema(tb testing.TB, name string) string {
	tb.Helper()
	if err := s.create(tb.Context(), "SCHEMA", name); err != nil {
		tb.Fatal(err)
	}
	return s.URL() + "&search_path=" + name
}

// Database makes an empty database, and returns its URL.
func (s *Server) Database(ctx context.Context, name string) (string, error) {
	return s.url(name), s.create(ctx, "DATABASE", name)
}

func (s *Server) create(ctx context.Context, what, name string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE "+what+" "+pgx.Identifier{name}.Sanitize())
	return errors.Join(err, conn.Close(ctx))
}

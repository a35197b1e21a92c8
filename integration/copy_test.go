package integration_test

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
	"github.com/frayrpc/fray/fray/store/pgstore/pgtest"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/integration/tasks"
)

// movable returns a cluster on a data directory that can be moved elsewhere.
func movable(t *testing.T) *cluster {
	t.Helper()
	return newCluster(t, "--listen", "127.0.0.1:"+freePort(t), "--data-dir", filepath.Join(t.TempDir(), "data"))
}

// halt ends the controller in good order.
func (c *cluster) halt() {
	c.t.Helper()
	c.controller.signal(syscall.SIGTERM)
	if code := c.controller.exit(); code != 0 {
		c.t.Errorf("the controller exits with %d", code)
	}
}

// storeCommand is a copy of records that can be started.
func (c *cluster) storeCommand(ctx context.Context, from, to string) *exec.Cmd {
	c.t.Helper()
	cmd := exec.CommandContext(ctx, programs.path(c.t, "fray"), "store", "copy", "--from", from, "--to", to)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "FRAY_") })
	if dir := os.Getenv(coverVariable); dir != "" {
		cmd.Env = append(cmd.Env, "GOCOVERDIR="+dir)
	}
	return cmd
}

// copyStore copies records, which must go well, and returns what is said of it.
func (c *cluster) copyStore(from, to string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.context(), 4*patience)
	defer cancel()
	out, err := c.storeCommand(ctx, from, to).CombinedOutput()
	if err != nil {
		c.t.Fatalf("copy %s to %s: %v: %s", from, to, err, out)
	}
	return string(out)
}

// wantRefused checks that a copy is refused, and why.
func (c *cluster) wantRefused(from, to, want string) {
	c.t.Helper()
	if out, code := c.fray("store", "copy", "--from", from, "--to", to); code == 0 || !strings.Contains(out, want) {
		c.t.Errorf("copy %s to %s exits with %d, and says %s; want %q", from, to, code, out, want)
	}
}

// rebornOn starts the controller on other records, at its address, and waits until it answers.
func (c *cluster) rebornOn(place string) {
	c.t.Helper()
	option := "--data-dir"
	if strings.Contains(place, "://") {
		option = "--store"
	}
	c.args = append(secured(true, "controller"), option, place)
	c.reborn()
	eventually(c.t, "a controller answers", func() bool {
		ctx, cancel := context.WithTimeout(c.context(), patience/3)
		defer cancel()
		_, err := c.GetClusterInfo(ctx, &frayv1.GetClusterInfoRequest{})
		return err == nil
	})
}

// recordsOf are all records of a data directory.
func recordsOf(t *testing.T, dir string) map[store.Key]string {
	t.Helper()
	s, err := pebblestore.Open(pebblestore.Config{Dir: dir, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	records := map[store.Key]string{}
	for kind := range store.Kinds() {
		before := len(records)
		if err := s.Scan(kind, 0, func(num uint64, value []byte) error {
			records[store.Key{Kind: kind, Num: num}] = string(value)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if len(records) == before {
			t.Errorf("there are no records of %v to copy", kind)
		}
	}
	return records
}

// A cluster with tasks of all states, an object, an actor and a schedule moves from a data directory to
// PostgreSQL and back. Between the two nothing of its records changes; what has ended is known, what
// runs goes on, and what waits is run once; and tokens of the controllers of before count no more.
func TestClusterMovesToPostgresAndBack(t *testing.T) {
	needDirectory(t)
	t.Parallel()
	server := pgtest.Start(t)
	c := movable(t)
	w := c.worker("w", "--slots", "8")
	ctx := c.client(fray.WithJobWeight(2))
	squares := runAll(ctx, t, tasks.Square, 2, 3, 4)
	for _, f := range squares {
		get(ctx, t, f)
	}
	broken := run(ctx, t, tasks.Fail, tasks.Failure{Message: "no"})
	failed(ctx, t, broken)
	ref, err := fray.Put(ctx, bytes.Repeat([]byte("object"), 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	counter, err := tasks.Counters.Create(ctx, struct{}{}, fray.WithActorName("counter"))
	if err != nil {
		t.Fatal(err)
	}
	add := func(n, want int) {
		t.Helper()
		if sum, err := tasks.Add.Call(ctx, counter, n); err != nil || sum != want {
			t.Errorf("the actor counts %d, %v; want %d", sum, err, want)
		}
	}
	add(1, 1)
	scheduled, err := tasks.Noop.Schedule(ctx, "yearly", "0 0 1 1 *", nil)
	if err != nil {
		t.Fatal(err)
	}
	nowhere := fray.WithLabels(map[string]string{"no": "where"})
	cancelled := run(ctx, t, tasks.Square, 1, nowhere)
	if err := cancelled.Cancel(ctx); err != nil {
		t.Fatal(err)
	}
	failed(ctx, t, cancelled)
	waits := run(ctx, t, tasks.Square, 9, nowhere)
	h := c.hold()
	held := run(ctx, t, tasks.Held, h)
	c.awaitHeld(held.ID(), h)
	raw := c.rawWorker("raw", 1, map[string]int64{"gpu": 1})
	raws := run(ctx, t, tasks.Square, 5, fray.WithResources(map[string]int64{"gpu": 1}), fray.WithMaxWorkerLosses(5))
	leased := raw.lease(1)[0]
	incarnations := []uint64{c.incarnation()}

	// stays checks what must be so wherever the records are.
	stays := func(where string) {
		t.Helper()
		incarnations = append(incarnations, c.incarnation())
		if n := len(incarnations); incarnations[n-1] <= incarnations[n-2] {
			t.Errorf("%s: incarnations %v", where, incarnations)
		}
		for i, f := range squares {
			res, err := c.GetTaskResult(c.context(), &frayv1.GetTaskResultRequest{TaskId: f.ID()})
			if err != nil || string(res.GetResult().GetValue().GetData()) != []string{"4", "9", "16"}[i] {
				t.Errorf("%s: %s is %v, %v", where, f.ID(), res, err)
			}
		}
		for id, want := range map[string]frayv1.TaskStatus{
			broken.ID(): frayv1.TaskStatus_TASK_STATUS_FAILED, cancelled.ID(): frayv1.TaskStatus_TASK_STATUS_CANCELLED,
			waits.ID(): frayv1.TaskStatus_TASK_STATUS_PENDING,
		} {
			if got := c.task(id).GetStatus(); got != want {
				t.Errorf("%s: %s is %v, want %v", where, id, got, want)
			}
		}
		if info, err := fray.FindSchedule(ctx, "yearly"); err != nil || info.ID() != scheduled.ID() {
			t.Errorf("%s: the schedule is %v, %v", where, info, err)
		}
		if value, err := ref.Get(ctx); err != nil || len(value) != 6<<20 {
			t.Errorf("%s: the object has %d bytes, %v", where, len(value), err)
		}
		// It runs on, as the attempt that it was.
		c.awaitStatus(held.ID(), frayv1.TaskStatus_TASK_STATUS_RUNNING)
		c.wantCharges(held.ID(), 1, 0, 0)
	}

	dir, back, again := c.dataDir(), filepath.Join(t.TempDir(), "back"), filepath.Join(t.TempDir(), "again")
	c.wantRefused(dir, server.URL(), "it is in use by another process")
	c.halt()
	was := recordsOf(t, dir)
	t.Log(c.copyStore(dir, server.URL()))
	t.Log(c.copyStore(server.URL(), back))
	if now := recordsOf(t, back); !maps.Equal(now, was) {
		t.Errorf("%d records went, and %d came back, and they differ", len(was), len(now))
	}
	c.rebornOn(server.URL())
	stays("in PostgreSQL")
	if _, err := c.Heartbeat(c.context(), &frayv1.HeartbeatRequest{SessionToken: raw.session, HeartbeatSeq: 1}); connect.CodeOf(err) != connect.CodeFailedPrecondition {
		t.Errorf("a session of before: %v", err)
	}
	raw.registers(1, map[string]int64{"gpu": 1})
	wantVerdict(t, "a lease of before", raw.report(leased, succeeded, "26"), stale)
	add(2, 3)
	c.wantRefused(dir, server.URL(), "its last leader, at "+c.url()+", has not left")
	c.halt()

	t.Log(c.copyStore(server.URL(), again))
	c.rebornOn(again)
	stays("in a directory again")
	add(3, 6)
	c.open(h)
	if _, err := held.Get(ctx); err != nil {
		t.Error(err)
	}
	raw.registers(1, map[string]int64{"gpu": 1})
	leased = raw.lease(1)[0] // Once the session of before is given up.
	wantVerdict(t, "a lease of now", raw.report(leased, succeeded, "25"), accepted)
	if v := get(ctx, t, raws); v != 25 {
		t.Errorf("it has come to %d", v)
	}
	w.kill()
	c.worker("somewhere", "--slots", "2", "--label", "no=where")
	if v := get(ctx, t, waits); v != 81 {
		t.Errorf("what waited has come to %d", v)
	}
	add(4, 10) // At another worker, from its checkpoint.
	if n := c.events(h.Ledger); n["start"] != 1 || n["end"] != 1 {
		t.Errorf("what was held: %v", n)
	}
}

// A cluster moves again and again while clients submit and wait. What was acknowledged anywhere is
// known for ever, and nobody is told two ends of one task.
func TestClusterMovesUnderLoad(t *testing.T) {
	needDirectory(t)
	t.Parallel()
	const moves = 4
	server := pgtest.Start(t)
	c := movable(t)
	for i := range 3 {
		c.worker("w"+strconv.Itoa(i), "--slots", "4")
	}
	l := startLoad(t, c)
	place := c.dataDir()
	for n := range moves {
		l.goesOn()
		outage(t, time.Duration(rand.Int64N(int64(300*time.Millisecond))))
		next := filepath.Join(t.TempDir(), "data")
		if n%2 == 0 {
			next = server.Schema(t, "move_"+strconv.Itoa(n))
		}
		c.halt()
		c.copyStore(place, next)
		c.rebornOn(next)
		place = next
	}
	l.end()
	l.lookBack()
	l.judge(strconv.Itoa(moves) + " moves")
}

// size is how many bytes the files below a directory have, as far as they are there.
func size(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // It comes and goes.
		}
		if info, err := d.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}

// A copy that is killed leaves what no controller starts on, says so, and is made whole by the same
// command, whichever way it goes.
func TestKilledCopyIsNotTakenForWhole(t *testing.T) {
	needDirectory(t)
	t.Parallel()
	const objectBytes, enough = 96 << 20, 20 << 20
	server := pgtest.Start(t)
	c := movable(t)
	ctx := c.client(fray.WithJobWeight(2))
	if _, err := fray.PutReader(ctx, &zeros{objectBytes}); err != nil {
		t.Fatal(err)
	}
	waits := run(ctx, t, tasks.Square, 9)
	dir, copied := c.dataDir(), filepath.Join(t.TempDir(), "copied")
	c.halt()
	t.Log(c.copyStore(dir, server.URL()))

	cmd := c.storeCommand(context.WithoutCancel(c.context()), server.URL(), copied)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	child, err := spawn().Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "some of it is copied", func() bool { return size(copied) > enough || !child.Running() })
	_ = child.Kill()
	if code := cmd.ProcessState.ExitCode(); code != -1 {
		t.Fatalf("the copy has exited with %d before it was killed: %s", code, &out)
	}
	if out, code := c.fray("controller", "--listen", "127.0.0.1:0", "--data-dir", copied); code == 0 ||
		!strings.Contains(out, "store is an unfinished copy of "+strings.TrimSuffix(server.URL(), "?sslmode=disable")) {
		t.Errorf("a controller on it: exit %d: %s", code, out)
	}
	c.wantRefused(copied, filepath.Join(t.TempDir(), "other"), "store is an unfinished copy")
	if out := c.copyStore(server.URL(), copied); !strings.Contains(out, "of an unfinished copy") {
		t.Errorf("the same again says %s", out)
	}
	c.rebornOn(copied)
	c.worker("w")
	if v := get(ctx, t, waits); v != 81 {
		t.Errorf("what waited has come to %d", v)
	}
}

// zeros are so many.
type zeros struct{ left int }

func (z *zeros) Read(p []byte) (int, error) {
	n := min(len(p), z.left)
	z.left -= n
	clear(p[:n])
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// A database with controllers is not copied, neither while one leads, nor when it was lost without
// having left, unless that is said to be so.
func TestDatabaseWithControllersIsNotCopied(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	c := newLeaders(t, server.URL(), 2)
	dir := filepath.Join(t.TempDir(), "copied")
	i := c.leader()
	c.wantRefused(server.URL(), dir, "its last leader, at "+c.members[i].url+", has not left")
	if out, code := c.fray("store", "copy", "--leader-is-gone", "--from", server.URL(), "--to", dir); code == 0 || !strings.Contains(out, "is seen to live") {
		t.Errorf("a copy beside a leader that lives: exit %d: %s", code, out)
	}
	for _, m := range c.members {
		m.kill()
	}
	c.wantRefused(server.URL(), dir, "--leader-is-gone")
	if out, code := c.fray("store", "copy", "--leader-is-gone", "--from", server.URL(), "--to", dir); code != 0 {
		t.Errorf("a copy of what a lost leader has left: exit %d: %s", code, out)
	}
	c.copyStore(server.URL(), filepath.Join(t.TempDir(), "again")) // The copy has left the seat.
}

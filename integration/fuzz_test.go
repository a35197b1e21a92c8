package integration_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/gen/faults/v1/faultsv1connect"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/hostile"
)

var (
	fuzzTime = flag.Duration("fuzz-live", 4*time.Second, "for how long TestLiveFuzz sends requests")
	fuzzSeed = flag.Uint64("fuzz-seed", 0, "what TestLiveFuzz draws its requests from; 0: another one each time")
)

const (
	// fuzzers is how many requests are on their way at a time.
	fuzzers = 12
	// fuzzMemory is what the controller may have in memory at most, in MiB: what it is given, and for what
	// the Go runtime does not count (the store's tables and cache, stacks, what C has) and has not returned yet.
	fuzzMemory = 512
	// fuzzPatience is how long an answer is waited for. Many requests ask to wait longer.
	fuzzPatience = time.Second
	// fuzzWhole is from which time on every procedure has to have accepted a request, and fuzzBound is what the
	// slowest of a hundred tasks of the bystander may take then. The requests, their senders and the bystander
	// share the machine.
	fuzzWhole = 2 * time.Minute
	fuzzBound = 5 * time.Second
	// sweepEvery is how often what the requests leave is cleared away.
	sweepEvery = time.Second
	// partial is how the names of backups end that are being made.
	partial = ".partial"
)

// rare are procedures that are asked for less often: each call of the one copies something, and each of the other
// ends a session that others need.
var rare = map[string]bool{
	frayv1connect.ControllerServiceCreateBackupProcedure: true, frayv1connect.ControllerServiceUnregisterWorkerProcedure: true,
}

// unaccepted are procedures that accept no request here: no server of Fray has the one, and a controller that is alone
// refuses the other.
var unaccepted = map[string]bool{"/grpc.health.v1.Health/Watch": true, frayv1connect.ControllerServiceStepDownProcedure: true}

// faultRules are some that there can be.
var faultRules = []string{
	"lost: drop phase=response-in-flight procedure=*/ReportTasks nth=3", "slow: delay for=1s procedure=*/GetTask event=noon",
	"dead: crash procedure=*/SubmitTask", "often: error code=unavailable chance=0.5",
}

// A liveFuzz sends drawn requests to the processes that serve Fray's procedures.
type liveFuzz struct {
	t       *testing.T
	seed    uint64
	url     map[string]string // of each service
	methods []hostile.Method
	pool    *hostile.Pool
	clients [2]*http.Client // of HTTP/1.1 and HTTP/2
	found   context.CancelFunc
	guard   *bystander

	mu    sync.Mutex
	codes map[string]map[string]int // of each procedure, and of each encoding
}

// newLiveFuzz fuzzes everything that the table of procedures has, where it is served.
func newLiveFuzz(t *testing.T, controller, worker, faulty string, b *bystander) *liveFuzz {
	t.Helper()
	f := &liveFuzz{t: t, seed: *fuzzSeed, guard: b, codes: make(map[string]map[string]int)}
	if f.seed == 0 {
		f.seed = rand.Uint64()
	}
	f.clients = [2]*http.Client{newHTTPClient(t, false), newHTTPClient(t, true)}
	for _, c := range f.clients {
		c.Transport.(leastRoles).DisableCompression = true
	}
	f.pool = &hostile.Pool{Skip: f.isBystanders}
	f.pool.Add("function", "square", "nobody-has-it")
	f.pool.Add("encoding", "json", "raw")
	f.pool.Add("service", "", frayv1connect.ControllerServiceName, frayv1connect.WorkerServiceName)
	f.pool.Add("file_containing_symbol", frayv1connect.ControllerServiceName, "fray.v1.TaskSpec")
	f.pool.Add("file_by_filename", "fray/v1/task.proto")
	f.pool.Add("rules", faultRules...)
	var procedures []string
	for row := range access.Procedures() {
		if strings.Count(row.Procedure, "/") == 2 {
			procedures = append(procedures, row.Procedure)
		}
	}
	var err error
	if f.methods, err = hostile.Methods(procedures...); err != nil {
		t.Fatal(err)
	}
	f.url = map[string]string{
		frayv1connect.WorkerServiceName: worker, faultsv1connect.FaultServiceName: faulty,
	}
	for _, m := range f.methods {
		if service := m.Service(); f.url[service] == "" {
			f.url[service] = controller
		}
	}
	return f
}

// isBystanders says of a message that it tells of the bystander, whom requests leave alone.
func (f *liveFuzz) isBystanders(m protoreflect.Message) (is bool) {
	m.Range(func(d protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if d.Kind() == protoreflect.StringKind && !d.IsList() && !d.IsMap() {
			is = is || v.String() == f.guard.job || strings.HasPrefix(v.String(), bystanderName)
		}
		return !is
	})
	return is
}

// run sends requests until ctx is done. Those of one id are equal in all runs of one seed, but for what the
// servers tell.
func (f *liveFuzz) run(ctx context.Context, id int) {
	r := rand.New(rand.NewPCG(f.seed, uint64(id))) // within: not negative
	for n := 0; ctx.Err() == nil; n++ {
		m := f.methods[r.IntN(len(f.methods))]
		if rare[m.Procedure] && r.IntN(8) > 0 {
			continue
		}
		q := hostile.Draw(r, m, f.pool)
		base := f.url[m.Service()]
		var a hostile.Answer
		var sent []byte
		if r.IntN(25) == 0 {
			wire, flaw := q.Raw(r, host(base))
			q.Flaws = append(q.Flaws, flaw)
			sent, a = wire, f.sendRaw(ctx, base, wire)
		} else {
			a = f.send(ctx, base, q)
		}
		if a.Status == 0 {
			f.count(q, "none")
			continue
		}
		code, message, err := a.Judge(q)
		if err != nil && ctx.Err() == nil {
			f.report(id, n, q, sent, err)
			return
		}
		f.count(q, code)
		if message != nil {
			f.pool.Learn(message.ProtoReflect())
			if len(q.Flaws) == 0 {
				f.pool.LearnNames(q.Message)
			}
		}
	}
}

// send sends a request as it is. An answer without a status says that there is none.
func (f *liveFuzz) send(ctx context.Context, base string, q *hostile.Request) hostile.Answer {
	ctx, cancel := context.WithTimeout(ctx, fuzzPatience)
	defer cancel()
	req, err := q.HTTP(ctx, base, attackToken)
	if err != nil {
		return hostile.Answer{} // It cannot be said in HTTP.
	}
	client := f.clients[0]
	if q.HTTP2 {
		client = f.clients[1]
	}
	a, err := hostile.Send(client, req)
	if err != nil {
		return hostile.Answer{}
	}
	return a
}

// sendRaw sends bytes, and reads one answer of HTTP/1.1 if there is one.
func (f *liveFuzz) sendRaw(ctx context.Context, base string, wire []byte) hostile.Answer {
	ctx, cancel := context.WithTimeout(ctx, fuzzPatience)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", host(base))
	if err != nil {
		return hostile.Answer{}
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	head, body, _ := bytes.Cut(wire, []byte("\r\n"))
	wire = slices.Concat(head, []byte("\r\nAuthorization: Bearer "+attackToken+"\r\n"), body)
	if _, err := conn.Write(wire); err != nil {
		return hostile.Answer{}
	}
	if c, ok := conn.(*net.TCPConn); ok {
		_ = c.CloseWrite()
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return hostile.Answer{}
	}
	a := hostile.Read(res)
	a.Whole = false // What was answered may be another request than the one that was drawn.
	return a
}

// report tells of a finding, keeps the request, and ends the fuzzing.
func (f *liveFuzz) report(id, n int, q *hostile.Request, sent []byte, err error) {
	defer f.found()
	f.mu.Lock()
	defer f.mu.Unlock()
	if sent == nil {
		var b bytes.Buffer
		_ = q.Dump(&b, "127.0.0.1") // Memory takes it.
		sent = b.Bytes()
	}
	dir := filepath.Join(os.TempDir(), "fray-fuzz")
	path := filepath.Join(dir, fmt.Sprintf("%d-%d-%d", f.seed, id, n))
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(path, sent, 0o600)); err != nil {
		f.t.Error(err)
	}
	f.t.Errorf("request %d of %d, seed %d: %v\n%v\nbody: %.200x\nkept in %s", n, id, f.seed, err, q, q.Body, path)
}

func (f *liveFuzz) count(q *hostile.Request, code string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range []string{q.Method.Procedure, q.Encoding + " of " + q.Codec} {
		if f.codes[name] == nil {
			f.codes[name] = make(map[string]int)
		}
		f.codes[name][code]++
	}
}

// tell logs what was answered, and returns how many requests there were and which procedures accepted none.
func (f *liveFuzz) tell() (total int, never []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.methods {
		for _, n := range f.codes[m.Procedure] {
			total += n
		}
		if f.codes[m.Procedure]["ok"] == 0 && !unaccepted[m.Procedure] {
			never = append(never, m.Procedure)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.codes)) {
		f.t.Logf("%-70s %v", name, f.codes[name])
	}
	return total, never
}

// sweep cancels the tasks that requests have left and removes the backups that they have made, now and then until
// ctx is done, and once more.
func (f *liveFuzz) sweep(ctx context.Context, tg *target, backups string) {
	for {
		goes := pausing(ctx, sweepEvery)
		f.cancelAll(tg)
		entries, _ := os.ReadDir(backups) // There may be none yet.
		for _, e := range entries {
			if filepath.Ext(e.Name()) != partial {
				_ = os.RemoveAll(filepath.Join(backups, e.Name())) // What is left is removed with the test.
			}
		}
		if !goes {
			return
		}
	}
}

// cancelAll cancels every open task that is not the bystander's.
func (f *liveFuzz) cancelAll(tg *target) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(f.t.Context()), patience)
	defer cancel()
	open := []frayv1.TaskStatus{frayv1.TaskStatus_TASK_STATUS_PENDING, frayv1.TaskStatus_TASK_STATUS_LEASED, frayv1.TaskStatus_TASK_STATUS_RUNNING}
	for page := ""; ; {
		res, err := tg.ListTasks(ctx, &frayv1.ListTasksRequest{Statuses: open, PageSize: 1000, PageToken: page})
		if err != nil {
			return // The next time.
		}
		req := &frayv1.CancelTasksRequest{}
		for _, task := range res.GetTasks() {
			if task.GetJobId() != f.guard.job {
				req.TaskIds = append(req.TaskIds, task.GetTaskId())
			}
		}
		if len(req.GetTaskIds()) > 0 {
			_, _ = tg.CancelTasks(ctx, req) // As above.
		}
		if page = res.GetNextPageToken(); page == "" {
			return
		}
	}
}

// Whatever a request is, in whatever encoding, each process answers it, and none says that it did not know what to
// do. A bystander is served meanwhile; nothing is left afterwards; and a controller that is killed then comes back
// with what it had.
func TestLiveFuzz(t *testing.T) {
	if raceDetected() {
		t.Skip("the race detector takes more memory than the controller is given")
	}
	if *mtls {
		t.Skip("it shows a token, and speaks to the port by itself")
	}
	data := filepath.Join(t.TempDir(), "data")
	args := []string{"--data-dir", data, "--cancel-grace", "1s", "--watch-grace", "5s", "--session-ttl", "10s"}
	tg, controller := startTarget(t, args...)
	args = append(args, "--listen", tg.host)
	worker := startProcess(t, bystanderName+"-process", programs.path(t, "testworker"),
		"--controller", tg.url, "--id", bystanderName+"-process", "--token-file", attackTokenFile(t), "--functions", "square", "--slots", "4")
	// A process of its own: the faults would hit the bystander.
	faulty := startProcess(t, "faulty", programs.path(t, "fray"),
		"controller", "--listen", "127.0.0.1:0", "--in-memory", "--enable-fault-injection", "--token-file", attackTokenFile(t))
	b := newBystander(t, tg.url)
	b.ask(0)
	var later []*fray.Future[int]
	for n := range 50 { // Nobody has the function before the end.
		later = append(later, run(b.ctx, t, bystanderTriple, n))
	}
	before := tg.standing()

	f := newLiveFuzz(t, tg.url, worker.url, faulty.url, b)
	t.Logf("seed %d: again with -fuzz-seed", f.seed)
	fuzzing, over := context.WithTimeout(t.Context(), *fuzzTime)
	defer over()
	f.found = over
	var all sync.WaitGroup
	all.Go(func() { f.sweep(fuzzing, tg, data+"-backups") })
	for id := range fuzzers {
		all.Go(func() { f.run(fuzzing, id) })
	}
	bound := time.Duration(0)
	if *fuzzTime >= fuzzWhole {
		bound = fuzzBound
	}
	b.askUntil(fuzzing, bound)
	all.Wait()
	for _, c := range f.clients {
		c.CloseIdleConnections()
	}
	for _, p := range []*process{controller, worker, faulty} {
		if !p.Running() {
			t.Fatalf("%s has ended", p.name)
		}
	}
	total, never := f.tell()
	peak := residentPeak(controller.cmd.Process.Pid)
	t.Logf("%d requests; resident %d MiB at most", total, peak)
	if peak > fuzzMemory {
		t.Errorf("the controller had %d MiB in memory, more than %d", peak, fuzzMemory)
	}
	if *fuzzTime >= fuzzWhole && len(never) > 0 && !t.Failed() {
		t.Errorf("nothing was accepted of %q", never)
	}
	tg.settles(before)
	b.ask(-1)
	last := b.last

	controller.kill()
	startProcess(t, "controller-again", programs.path(t, "fray"), append([]string{"controller", "--token-file", attackTokenFile(t)}, args...)...)
	eventually(t, "the result of before is there", func() bool {
		res, err := tg.GetTaskResult(t.Context(), &frayv1.GetTaskResultRequest{TaskId: last})
		return err == nil && string(res.GetResult().GetValue().GetData()) == "-2"
	})
	b.worker(bystanderTriple)
	for n, f := range later {
		if got := get(b.ctx, t, f); got != 3*n {
			t.Errorf("task %d of before: %d", n, got)
		}
	}
	b.leave()
}

package integration_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/outgoing"
)

// attackTime is for how long TestBystanderUnderAttack attacks; from attackTimed on it also looks at how
// fast the bystander is served.
var attackTime = flag.Duration("attack", 2*time.Second, "for how long to attack the controller of a bystander")

const (
	attackTimed = 30 * time.Second
	// attackBound is what the slowest of a hundred calls of the bystander may take.
	attackBound = time.Second
)

// target is a controller under attack.
type target struct {
	frayv1connect.ControllerServiceClient

	t    *testing.T
	url  string
	host string
	http *http.Client
}

// attack is one way to go at a controller. It goes on until ctx is done, and leaves nothing behind.
type attack struct {
	name string
	run  func(tg *target, ctx context.Context, id int)
}

// attacks are run all at once, some goroutines of each.
var attacks = []attack{
	{"lists of a million empty items in three kilobytes", (*target).bombs},
	{"heartbeats with as many unknown tokens as the wire takes", (*target).unknownTokens},
	{"requests of which a byte comes now and then", (*target).trickle},
	{"answers that nobody reads", (*target).deaf},
	{"large inputs, many at a time", (*target).largeInputs},
	{"workers with ten thousand long function names, and lists of them", (*target).registrations},
	{"connections that say nothing", (*target).idleConnections},
	{"thousands of functions, which are cancelled", (*target).manyFunctions},
	{"guesses of the token", (*target).guesses},
	{"waiting calls that are given up at once", (*target).givenUp},
}

// raw sends a request as it is, and returns the status.
func (tg *target) raw(ctx context.Context, procedure, encoding string, body []byte) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, tg.url+procedure, bytes.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/proto")
	req.Header.Set("Authorization", "Bearer "+attackToken)
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	res, err := tg.http.Do(req)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if res.StatusCode == http.StatusInternalServerError && ctx.Err() == nil {
		tg.t.Errorf("%s is answered with %s", procedure, res.Status)
	}
	return res.StatusCode
}

func zipped(data []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(data)
	_ = w.Close()
	return out.Bytes()
}

// bombs sends lists of empty items to every RPC that has one.
func (tg *target) bombs(ctx context.Context, _ int) {
	type bomb struct {
		procedure string
		body      []byte
	}
	var list []bomb
	methods := frayv1.File_fray_v1_controller_proto.Services().ByName("ControllerService").Methods()
	for i := range methods.Len() {
		m := methods.Get(i)
		for j := range m.Input().Fields().Len() {
			if f := m.Input().Fields().Get(j); f.IsList() || f.IsMap() {
				item := protowire.AppendBytes(protowire.AppendTag(nil, f.Number(), protowire.BytesType), nil)
				list = append(list, bomb{fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name()), zipped(bytes.Repeat(item, 1_500_000))})
			}
		}
	}
	for i := 0; ctx.Err() == nil; i++ {
		b := list[i%len(list)]
		tg.raw(ctx, b.procedure, "gzip", b.body)
	}
}

func (tg *target) unknownTokens(ctx context.Context, id int) {
	name := fmt.Sprint("teller-", id)
	defer tg.goodbye(name)
	tokens := make([]uint64, 65_536)
	for seq := uint64(1); ctx.Err() == nil; seq++ {
		res, err := tg.RegisterWorker(ctx, &frayv1.RegisterWorkerRequest{WorkerId: name, RegistrationId: fmt.Sprint(seq), Slots: 1, Functions: []string{"none"}})
		if err != nil {
			continue
		}
		for i := range tokens {
			tokens[i] = rand.Uint64()
		}
		_, _ = tg.Heartbeat(ctx, &frayv1.HeartbeatRequest{
			SessionToken: res.GetSessionToken(), HeartbeatSeq: 1, RunningLeaseTokens: tokens, QueuedLeaseTokens: tokens,
		})
	}
}

// goodbye takes the session of a worker's id away.
func (tg *target) goodbye(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	res, err := tg.RegisterWorker(ctx, &frayv1.RegisterWorkerRequest{WorkerId: name, RegistrationId: "last", Slots: 1, Functions: []string{"none"}})
	if err == nil {
		_, _ = tg.UnregisterWorker(ctx, &frayv1.UnregisterWorkerRequest{SessionToken: res.GetSessionToken()})
	}
}

// head is the head of a request over HTTP/1.1.
func (tg *target) head(procedure string, length int) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/proto\r\nContent-Length: %d\r\n\r\n",
		procedure, tg.host, attackToken, length)
}

// dial opens a connection that ends with ctx.
func (tg *target) dial(ctx context.Context) net.Conn {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", tg.host)
	if err != nil {
		return nil
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	return conn
}

func (tg *target) trickle(ctx context.Context, _ int) {
	for ctx.Err() == nil {
		conn := tg.dial(ctx)
		if conn == nil {
			continue
		}
		_, err := io.WriteString(conn, tg.head(frayv1connect.ControllerServiceSubmitTasksProcedure, 8<<20))
		for err == nil && pausing(ctx, 200*time.Millisecond) {
			_, err = conn.Write([]byte{0})
		}
		_ = conn.Close()
	}
}

// pausing waits, and says whether ctx goes on.
func pausing(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// deaf asks for large answers over and over on one connection, and reads none.
func (tg *target) deaf(ctx context.Context, _ int) {
	body, err := proto.Marshal(&frayv1.ListTasksRequest{PageSize: 1000})
	if err != nil {
		return
	}
	for ctx.Err() == nil {
		conn := tg.dial(ctx)
		if conn == nil {
			continue
		}
		if c, ok := conn.(*net.TCPConn); ok {
			_ = c.SetReadBuffer(4 << 10)
		}
		for err := error(nil); err == nil; {
			_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
			_, err = io.WriteString(conn, tg.head(frayv1connect.ControllerServiceListTasksProcedure, len(body))+string(body))
		}
		pausing(ctx, time.Second)
		_ = conn.Close()
	}
}

func (tg *target) largeInputs(ctx context.Context, id int) {
	data := make([]byte, 3<<20)
	for n := 0; ctx.Err() == nil; n++ {
		binary.LittleEndian.PutUint64(data, rand.Uint64())
		job := fmt.Sprintf("large-%d-%d", id, n)
		_, _ = tg.SubmitTask(ctx, &frayv1.SubmitTaskRequest{JobId: job, Task: &frayv1.TaskSpec{
			TaskId: job, Function: "nobody has it", Payload: &frayv1.Payload{Data: data},
		}})
		tg.cancel(job)
	}
}

// cancel cancels a job, so that what is left is what others do.
func (tg *target) cancel(job string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, _ = tg.CancelTasks(ctx, &frayv1.CancelTasksRequest{JobId: job})
}

func (tg *target) registrations(ctx context.Context, id int) {
	functions := make([]string, 10_000)
	for i := range functions {
		functions[i] = fmt.Sprintf("%0200d", i)
	}
	const names = 40
	for n := 0; ctx.Err() == nil; n++ {
		_, _ = tg.RegisterWorker(ctx, &frayv1.RegisterWorkerRequest{
			WorkerId: fmt.Sprintf("large-%d-%d", id, n%names), RegistrationId: fmt.Sprint(n), Slots: 1, Functions: functions,
		})
		_, _ = tg.ListWorkers(ctx, &frayv1.ListWorkersRequest{})
	}
	for n := range names {
		tg.goodbye(fmt.Sprintf("large-%d-%d", id, n))
	}
}

// idleConnections keeps connections open that never say anything, without a token.
func (tg *target) idleConnections(ctx context.Context, _ int) {
	for range 100 {
		if conn := tg.dial(ctx); conn == nil {
			break
		}
	}
	<-ctx.Done()
}

func (tg *target) manyFunctions(ctx context.Context, id int) {
	for n := 0; ctx.Err() == nil; n++ {
		req := &frayv1.SubmitTasksRequest{JobId: fmt.Sprintf("functions-%d-%d", id, n)}
		for i := range 500 {
			req.Tasks = append(req.Tasks, &frayv1.TaskSpec{TaskId: fmt.Sprintf("%s-%d", req.GetJobId(), i), Function: fmt.Sprintf("f-%d-%d-%d", id, n, i)})
		}
		_, _ = tg.SubmitTasks(ctx, req)
		tg.cancel(req.GetJobId())
	}
}

func (tg *target) guesses(ctx context.Context, _ int) {
	client := frayv1connect.NewControllerServiceClient(tg.http, tg.url, connect.WithInterceptors(outgoing.ShowToken(func() string { return fmt.Sprint("guess-", rand.Uint64()) })))
	for ctx.Err() == nil {
		if _, err := client.GetClusterInfo(ctx, &frayv1.GetClusterInfoRequest{}); err == nil {
			tg.t.Error("a guess let somebody in")
		}
	}
}

func (tg *target) givenUp(ctx context.Context, id int) {
	for n := 0; ctx.Err() == nil; n++ {
		call, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(20))*time.Millisecond)
		_, _ = tg.WatchJob(call, &frayv1.WatchJobRequest{JobId: fmt.Sprint("watched-", id), WatcherId: fmt.Sprint(n % 100), MaxWaitMs: 20_000})
		cancel()
	}
}

// Whoever is let in can do all at once what others have tried one by one, against a controller with
// little memory and few files: a bystander's tasks are done all the same, and afterwards nothing is
// left of it.
func TestBystanderUnderAttack(t *testing.T) {
	if raceDetected() {
		t.Skip("the race detector takes more memory than the controller is given")
	}
	if *mtls {
		t.Skip("it shows a token, and speaks to the port by itself")
	}
	tg, controller := startTarget(t, "--data-dir", t.TempDir()+"/data")
	b := newBystander(t, tg.url)
	b.ask(0)
	before := tg.standing()

	attacking, over := context.WithTimeout(t.Context(), *attackTime)
	defer over()
	var attackers sync.WaitGroup
	for _, a := range attacks {
		for id := range 3 {
			attackers.Go(func() { a.run(tg, attacking, id) })
		}
	}
	bound := time.Duration(0)
	if *attackTime >= attackTimed {
		bound = attackBound
	}
	b.askUntil(attacking, bound)
	attackers.Wait()
	if !controller.Running() {
		t.Fatal("the controller has ended")
	}
	tg.settles(before)
	after := tg.standing()
	t.Logf("resident %d MiB, at most %d", int(after["process_resident_memory_bytes"])>>20, residentPeak(controller.cmd.Process.Pid))
	if n := after["series"]; n > 40_000 {
		t.Errorf("/metrics has %v lines", n)
	}
	b.ask(-1)
}

// settles waits until nothing is left of attacks, compared with what stood before: no message, no call, no session
// but the worker's, no connection, no goroutine.
func (tg *target) settles(before map[string]float64) {
	tg.t.Helper()
	tg.http.CloseIdleConnections()
	eventually(tg.t, "nothing is left of the attacks", func() bool {
		after := tg.standing()
		return after != nil && after["fray_rpc_in_flight_bytes"] == 0 && after["fray_waiting_calls"] <= before["fray_waiting_calls"]+4 &&
			after["fray_workers"] <= before["fray_workers"] && after["process_open_fds"] <= before["process_open_fds"]+20 &&
			after["go_goroutines"] <= before["go_goroutines"]+40
	})
}

// residentPeak is the most memory that a process has had, in MiB; 0: unknown.
func residentPeak(pid int) (peak int) {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			_, _ = fmt.Sscan(text, &peak) // In KiB.
		}
	}
	return peak >> 10
}

// standing is what the controller says of itself: sums of its metrics, and how many lines they are. Nil:
// it says nothing now.
func (tg *target) standing() map[string]float64 {
	req, err := http.NewRequestWithContext(tg.t.Context(), http.MethodGet, tg.url+"/metrics", nil)
	if err != nil {
		return nil
	}
	req.Header.Set("Authorization", "Bearer "+attackToken)
	res, err := tg.http.Do(req)
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return nil
	}
	sums := make(map[string]float64)
	for line := range strings.Lines(string(text)) {
		sums["series"]++
		if strings.HasPrefix(line, "#") {
			continue
		}
		var value float64
		name, rest, ok := strings.Cut(strings.TrimSpace(line), " ")
		if _, err := fmt.Sscan(rest, &value); ok && err == nil {
			name, _, _ = strings.Cut(name, "{")
			sums[name] += value
		}
	}
	return sums
}

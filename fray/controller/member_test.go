package controller_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/internal/dial"
	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
	"github.com/frayrpc/fray/fray/store/lead/leadtest"
	storev1 "github.com/frayrpc/fray/gen/fray/store/v1"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/reason"
)

// member is a member that runs, and its line to the database, which can be cut.
type member struct {
	*controller.Member

	cut   atomic.Bool
	stop  context.CancelFunc
	once  sync.Once
	ended chan error
	asks  frayv1connect.ControllerServiceClient
}

func startMember(t *testing.T, m *leadtest.Memory, id string) *member {
	t.Helper()
	return startMemberThat(t, m, id, func(leadtest.Call) {})
}

// startMemberThat is startMember with something that is done before each of its calls of the database.
func startMemberThat(t *testing.T, m *leadtest.Memory, id string, first func(leadtest.Call)) *member {
	t.Helper()
	r := &member{ended: make(chan error, 1)}
	db := m.Client()
	db.Before = func(ctx context.Context, call leadtest.Call) error {
		first(call)
		if r.cut.Load() {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	var err error
	r.Member, err = controller.NewMember(controller.Config{ListenAddress: "127.0.0.1:0", Registerer: prometheus.NewRegistry()}, lead.Config{
		Database: db, Holder: lead.Holder{ID: id}, Beat: 20 * time.Millisecond, GiveUp: 200 * time.Millisecond,
	})
	if err == nil {
		err = r.Listen(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() { r.ended <- r.Run(ctx) }()
	t.Cleanup(func() { r.end(t) })
	r.asks = r.client(t, r.URL())
	return r
}

// end ends the member, unless it was.
func (r *member) end(t *testing.T) {
	t.Helper()
	r.once.Do(func() {
		r.stop()
		if err := <-r.ended; err != nil {
			t.Errorf("the member ended with %v", err)
		}
	})
}

func (*member) client(t *testing.T, urls string) frayv1connect.ControllerServiceClient {
	t.Helper()
	client, owned, err := dial.Controller(dial.Target{URL: urls})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(owned.CloseIdleConnections)
	return client
}

// awaitLead waits until the member leads, or no longer does.
func (r *member) awaitLead(t *testing.T, leads bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); r.Leads() != leads; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("that it leads is still %v", !leads)
		}
	}
}

func submitOne(ctx context.Context, c frayv1connect.ControllerServiceClient, id string) error {
	_, err := c.SubmitTask(ctx, &frayv1.SubmitTaskRequest{JobId: "job", Task: &frayv1.TaskSpec{TaskId: id, Function: "f"}})
	return err
}

// One leads, and the other says who; when that is cut off from the database the other takes over, with
// all that was acknowledged, and it answers nothing any more.
func TestMemberFailsOver(t *testing.T) {
	t.Parallel()
	m := leadtest.NewMemory(7)
	a := startMember(t, m, "a")
	a.awaitLead(t, true)
	b := startMember(t, m, "b")
	ctx := t.Context()
	for _, id := range []string{"1", "2"} {
		if err := submitOne(ctx, a.asks, id); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(10 * time.Second); ; {
		err := submitOne(ctx, b.asks, "3")
		if why, _ := wire.Info(err); why != wire.ReasonNotLeader {
			t.Fatalf("who stands by says %v", err)
		}
		if reason.Leader(err) == a.URL() {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("who stands by does not say who leads: %v", err)
		}
	}
	a.cut.Store(true)
	within, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := a.asks.GetTask(within, &frayv1.GetTaskRequest{TaskId: "1"}); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("one that is cut off answers a question with %v", err)
	}
	b.awaitLead(t, true)
	a.awaitLead(t, false)
	for _, id := range []string{"1", "2"} {
		if _, err := b.asks.GetTask(ctx, &frayv1.GetTaskRequest{TaskId: id}); err != nil {
			t.Errorf("task %s after the failover: %v", id, err)
		}
	}
	if _, err := b.asks.GetTask(ctx, &frayv1.GetTaskRequest{TaskId: "3"}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("a task that was refused: %v", err)
	}
	a.cut.Store(false)
	if err := submitOne(ctx, a.client(t, a.URL()+","+b.URL()), "4"); err != nil {
		t.Errorf("a call to the one that had led does not find the one that leads: %v", err)
	}
	b.end(t) // It leaves the seat.
	a.awaitLead(t, true)
	if _, err := a.asks.GetTask(ctx, &frayv1.GetTaskRequest{TaskId: "2"}); err != nil {
		t.Errorf("the first, when it leads again: %v", err)
	}
	if epoch := m.Seat().Epoch; epoch != 10 {
		t.Errorf("epoch %d after three elections from 7 on", epoch)
	}
}

// Who is to lead, and does not know yet what it is to know, has callers ask again as soon as they do
// while nobody leads. It said that it was about to end, and they stayed away for seconds.
func TestMemberThatIsYetToLead(t *testing.T) {
	t.Parallel()
	m := leadtest.NewMemory(7)
	reads, read := make(chan struct{}), make(chan struct{})
	var once sync.Once
	release := sync.OnceFunc(func() { close(read) })
	defer release()
	a := startMemberThat(t, m, "a", func(call leadtest.Call) {
		if call == leadtest.Scan {
			once.Do(func() { close(reads) })
			<-read
		}
	})
	<-reads
	err := submitOne(t.Context(), a.asks, "1")
	if why, _ := wire.Info(err); why != wire.ReasonNotLeader || reason.Leader(err) != "" {
		t.Errorf("it says %v", err)
	}
	release()
	a.awaitLead(t, true)
	if err := submitOne(t.Context(), a.asks, "1"); err != nil {
		t.Error(err)
	}
}

// Who leads again does so in another epoch, also if nobody else led in between.
func TestMemberThatLeadsAgain(t *testing.T) {
	t.Parallel()
	m := leadtest.NewMemory(7)
	a := startMember(t, m, "a")
	a.awaitLead(t, true)
	if err := submitOne(t.Context(), a.asks, "1"); err != nil {
		t.Fatal(err)
	}
	a.cut.Store(true)
	a.awaitLead(t, false)
	a.cut.Store(false)
	a.awaitLead(t, true)
	if epoch := m.Seat().Epoch; epoch != 9 {
		t.Errorf("it leads in epoch %d, after 8", epoch)
	}
	if _, err := a.asks.GetTask(t.Context(), &frayv1.GetTaskRequest{TaskId: "1"}); err != nil {
		t.Error(err)
	}
}

// What a leader knows is not told once another leads, however little it has noticed.
func TestZombieTellsNothing(t *testing.T) {
	t.Parallel()
	m := leadtest.NewMemory(7)
	a := startMember(t, m, "a")
	a.awaitLead(t, true)
	if err := submitOne(t.Context(), a.asks, "1"); err != nil {
		t.Fatal(err)
	}
	// Another takes the seat, and a has not noticed yet.
	for {
		err := m.Client().Take(t.Context(), m.Seat(), lead.Holder{ID: "b", Address: "http://b"})
		if err == nil {
			break
		}
	}
	beats, stop := context.WithCancel(t.Context())
	var beating sync.WaitGroup
	defer beating.Wait()
	defer stop()
	beating.Go(func() { // Or it would be taken back.
		for epoch := m.Seat().Epoch; beats.Err() == nil; time.Sleep(time.Millisecond) {
			_ = m.Client().Beat(beats, epoch)
		}
	})
	for name, ask := range map[string]func() error{
		"a task": func() error {
			_, err := a.asks.GetTask(t.Context(), &frayv1.GetTaskRequest{TaskId: "1"})
			return err
		},
		"a task that is not there": func() error {
			_, err := a.asks.GetTask(t.Context(), &frayv1.GetTaskRequest{TaskId: "2"})
			return err
		},
		"a session that is not there": func() error {
			_, err := a.asks.Heartbeat(t.Context(), &frayv1.HeartbeatRequest{SessionToken: 1})
			return err
		},
		"a new task": func() error { return submitOne(t.Context(), a.asks, "3") },
	} {
		if err := ask(); connect.CodeOf(err) != connect.CodeUnavailable {
			t.Errorf("asked for %s it says %v", name, err)
		}
	}
}

func TestBadMember(t *testing.T) {
	t.Parallel()
	l := lead.Config{Database: leadtest.NewMemory(1).Client(), Holder: lead.Holder{ID: "a"}}
	for want, c := range map[string]struct {
		cfg  controller.Config
		lead lead.Config
	}{
		"Store must not be set": {controller.Config{Store: store.NewMemory()}, l},
		"Holder.ID is required": {controller.Config{}, lead.Config{Database: l.Database}},
		"MaxWait":               {controller.Config{MaxWait: -1}, l},
	} {
		if _, err := controller.NewMember(c.cfg, c.lead); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// A database that was put back to before what it had acknowledged ends the member, and says so.
func TestMemberOfADatabaseThatWasPutBack(t *testing.T) {
	t.Parallel()
	m := leadtest.NewMemory(7)
	a := startMember(t, m, "a")
	a.awaitLead(t, true)
	if err := submitOne(t.Context(), a.asks, "1"); err != nil {
		t.Fatal(err)
	}
	m.PutBack(0)
	if err := submitOne(t.Context(), a.asks, "2"); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("submission: %v", err)
	}
	if err := <-a.ended; !errors.Is(err, store.ErrFailed) || errors.Is(err, lead.ErrLost) {
		t.Errorf("the member ended with %v", err)
	}
	a.ended <- nil
}

// A leader that is told to end while the database is away ends, and its seat is others' in time.
func TestMemberEndsWithoutItsDatabase(t *testing.T) {
	t.Parallel()
	for _, answers := range []string{"what is asked for", "nothing"} {
		t.Run(answers, func(t *testing.T) {
			t.Parallel()
			m := leadtest.NewMemory(7)
			a := startMember(t, m, "a")
			a.awaitLead(t, true)
			a.cut.Store(true)
			if answers == "what is asked for" { // There is a commit to be given up.
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				defer cancel()
				_ = submitOne(ctx, a.asks, "1")
			}
			a.end(t)
			b := startMember(t, m, "b")
			b.awaitLead(t, true)
		})
	}
}

// A database that is an unfinished copy has no controller, and is left to the copy that ends it.
func TestMemberOfAnUnfinishedCopy(t *testing.T) {
	t.Parallel()
	m := leadtest.NewMemory(7)
	if err := m.Client().Take(t.Context(), m.Seat(), lead.Holder{ID: "copy"}); err != nil {
		t.Fatal(err)
	}
	mark, err := proto.Marshal(&storev1.ControllerRecord{UnfinishedCopyOf: "elsewhere"})
	if err != nil {
		t.Fatal(err)
	}
	var b store.Batch
	b.Set(store.ControllerKey, mark)
	err = m.Client().Commit(t.Context(), 8, 1, &b)
	if err == nil {
		err = m.Client().Leave(t.Context(), 8)
	}
	if err != nil {
		t.Fatal(err)
	}
	a := startMember(t, m, "a")
	if err := <-a.ended; !errors.Is(err, store.ErrUnfinished) || !strings.Contains(err.Error(), "of elsewhere") {
		t.Errorf("the member ended with %v", err)
	}
	if seat := m.Seat(); !seat.Vacant || seat.Commits != 1 {
		t.Errorf("the seat is %+v", seat)
	}
	a.ended <- nil
}

package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store/lead"
	"github.com/frayrpc/fray/fray/store/lead/leadtest"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/command"
)

// never is more looks than these tests take.
const never = 1 << 30

// startMember runs one of several controllers until the test is over. It takes no seat that was not left.
func startMember(t *testing.T, db *leadtest.Memory, id string, middleware ...func(http.Handler) http.Handler) *controller.Member {
	t.Helper()
	m, err := controller.NewMember(controller.Config{ListenAddress: "127.0.0.1:0", Middleware: middleware}, lead.Config{
		Database: db.Client(), Holder: lead.Holder{ID: id}, Beat: 20 * time.Millisecond, Patience: never,
	})
	if err == nil {
		err = m.Listen(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return m
}

func awaitLead(t *testing.T, m *controller.Member) {
	t.Helper()
	if err := await(patience, func() error {
		if !m.Leads() {
			return errors.New("it does not lead")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// runStepDown runs the command, and checks its exit code and a pattern of what it writes to either
// output; empty: nothing.
func runStepDown(t *testing.T, code int, stdout, stderr string, args ...string) {
	t.Helper()
	var out, err bytes.Buffer
	a := &app{Process: command.Process{Name: "fray", Stdin: strings.NewReader(""), Stdout: &out, Stderr: &err}}
	got := a.run(t.Context(), slices.Concat([]string{"controller", "step-down"}, args))
	for text, pattern := range map[string]string{out.String(): stdout, err.String(): stderr} {
		if !regexp.MustCompile("^" + pattern + "$").MatchString(text) {
			t.Errorf("it writes %q, want %q", text, pattern)
		}
	}
	if got != code {
		t.Errorf("exit code %d, want %d", got, code)
	}
}

func TestStepDownCommand(t *testing.T) {
	t.Parallel()
	db := leadtest.NewMemory(7)
	a := startMember(t, db, "a")
	awaitLead(t, a)
	b := startMember(t, db, "b")
	runStepDown(t, command.ExitOK, `epoch 8 has ended; epoch 9 leads after \d.*s\n`, "", "--controller", a.URL()+","+b.URL())
	awaitLead(t, b)
	// Who has one address is told of the other.
	runStepDown(t, command.ExitOK, `{"ended_epoch":9,"leading_epoch":10,"without_leader_ms":\d+}\n`, "", "--controller", b.URL(), "-o", "json")
	awaitLead(t, a)
	// One that stands by is not one that leads.
	runStepDown(t, command.ExitUnavailable, "", `fray controller step-down: cannot reach the controller at .* within 300ms: this controller stands by: .* leads\n`,
		"--controller", b.URL(), "--connect-timeout", "300ms")
	runStepDown(t, command.ExitOK, `epoch 10 has ended\n`, "", "--controller", a.URL(), "--wait", "0s")
	awaitLead(t, b)
	if epoch := db.Seat().Epoch; epoch != 11 {
		t.Errorf("epoch %d leads", epoch)
	}
}

func TestStepDownCommandAlone(t *testing.T) {
	t.Parallel()
	a := startMember(t, leadtest.NewMemory(7), "a")
	awaitLead(t, a)
	runStepDown(t, command.ExitTimedOut, "", `fray controller step-down: epoch 8 has ended, and no controller was seen to lead within \d.*s: start one, or .*\n`,
		"--controller", a.URL(), "--wait", "200ms", "--connect-timeout", "200ms")
}

// The answer to the call is lost, and it is made again to the next leader, which leads on.
func TestStepDownCommandWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	var lost atomic.Int32
	loses := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			if r.URL.Path == frayv1connect.ControllerServiceStepDownProcedure && lost.Add(1) == 1 {
				panic(http.ErrAbortHandler)
			}
		})
	}
	db := leadtest.NewMemory(7)
	a := startMember(t, db, "a", loses)
	awaitLead(t, a)
	b := startMember(t, db, "b")
	runStepDown(t, command.ExitOK, `epoch 8 has ended; epoch 9 leads after \d.*s\n`, "", "--controller", a.URL()+","+b.URL())
	if lost.Load() == 0 || !b.Leads() || db.Seat().Epoch != 9 {
		t.Errorf("%d answers were lost, and the seat is %+v", lost.Load(), db.Seat())
	}
}

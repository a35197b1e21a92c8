package integration_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// rawWorker speaks a worker's side of the protocol, one call at a time, and gets it wrong as the
// test likes.
type rawWorker struct {
	c        *cluster
	id       string
	session  uint64
	polls    uint64 // answered ones
	beats    uint64
	register int
}

// rawWorker registers a worker that has all functions and does nothing by itself.
func (c *cluster) rawWorker(id string, slots uint32, resources map[string]int64) *rawWorker {
	c.t.Helper()
	w := &rawWorker{c: c, id: id}
	w.registers(slots, resources)
	return w
}

// registers opens a new session.
func (w *rawWorker) registers(slots uint32, resources map[string]int64) {
	w.c.t.Helper()
	w.register++
	req := &frayv1.RegisterWorkerRequest{
		WorkerId: w.id, RegistrationId: fmt.Sprint(w.id, "-", w.register), Slots: slots, Resources: resources,
		// Nobody is there: the controller has to do without.
		AdvertiseUrl: "http://127.0.0.1:1", Functions: []string{"square", "touch", "held", "sleep"},
	}
	res, err := w.c.RegisterWorker(w.c.context(), req)
	if err != nil {
		w.c.t.Fatal(err)
	}
	w.session, w.polls, w.beats = res.GetSessionToken(), 0, 0
}

// lease polls for up to n tasks and says with the next poll that it has the answer.
func (w *rawWorker) lease(n uint32) []*frayv1.LeasedTask {
	w.c.t.Helper()
	got := w.peek(w.c.context(), n, 20_000)
	w.polls++
	return got
}

// peek polls for up to n tasks, and forgets that it did.
func (w *rawWorker) peek(ctx context.Context, n uint32, waitMs int64) []*frayv1.LeasedTask {
	w.c.t.Helper()
	res, err := w.c.LeaseTasks(ctx, &frayv1.LeaseTasksRequest{
		SessionToken: w.session, PollSeq: w.polls + 1, ReceivedPollSeq: w.polls, FreeSlots: n, MaxTasks: n, MaxWaitMs: waitMs,
	})
	if err != nil && ctx.Err() == nil {
		w.c.t.Fatal(err)
	}
	return res.GetTasks()
}

// beat sends a heartbeat that says that it holds these attempts, and returns which of all it is
// told to stop.
func (w *rawWorker) beat(received uint64, queued, running []*frayv1.LeasedTask) *frayv1.HeartbeatResponse {
	w.c.t.Helper()
	w.beats++
	req := &frayv1.HeartbeatRequest{SessionToken: w.session, HeartbeatSeq: w.beats, ReceivedPollSeq: received}
	for _, l := range queued {
		req.QueuedLeaseTokens = append(req.QueuedLeaseTokens, l.GetAttempt().GetLeaseToken())
	}
	for _, l := range running {
		req.RunningLeaseTokens = append(req.RunningLeaseTokens, l.GetAttempt().GetLeaseToken())
	}
	res, err := w.c.Heartbeat(w.c.context(), req)
	if err != nil {
		w.c.t.Fatal(err)
	}
	return res
}

// report reports one attempt and returns the verdict.
func (w *rawWorker) report(l *frayv1.LeasedTask, outcome frayv1.AttemptOutcome, value string) frayv1.ReportVerdict {
	w.c.t.Helper()
	r := &frayv1.TaskReport{Attempt: l.GetAttempt(), Outcome: outcome, RunDurationUs: 1000}
	switch outcome {
	case frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED:
		r.Value = &frayv1.Payload{Encoding: "json", Data: []byte(value)}
	case frayv1.AttemptOutcome_ATTEMPT_OUTCOME_FAILED:
		r.Error = &frayv1.TaskError{Message: value}
	}
	res, err := w.c.ReportTasks(w.c.context(), &frayv1.ReportTasksRequest{SessionToken: w.session, Reports: []*frayv1.TaskReport{r}})
	if err != nil {
		w.c.t.Fatal(err)
	}
	return res.GetVerdicts()[0]
}

const (
	succeeded = frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED
	failing   = frayv1.AttemptOutcome_ATTEMPT_OUTCOME_FAILED

	accepted  = frayv1.ReportVerdict_REPORT_VERDICT_ACCEPTED
	duplicate = frayv1.ReportVerdict_REPORT_VERDICT_DUPLICATE
	stale     = frayv1.ReportVerdict_REPORT_VERDICT_STALE
)

func wantVerdict(t testing.TB, what string, got, want frayv1.ReportVerdict) {
	t.Helper()
	if got != want {
		t.Errorf("%s is judged %v, want %v", what, got, want)
	}
}

// keepBeating sends heartbeats with which the worker claims to hold nothing, as if all were well,
// until the test ends.
func (w *rawWorker) keepBeating() {
	ctx, cancel := context.WithCancel(w.c.context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for seq := w.beats + 1; ctx.Err() == nil; seq++ {
			// Not received: what it was granted is on its way to it, for ever.
			_, _ = w.c.Heartbeat(ctx, &frayv1.HeartbeatRequest{SessionToken: w.session, HeartbeatSeq: seq}) // it may be over
			select {
			case <-ticker.C:
			case <-ctx.Done():
			}
		}
	}()
	w.c.t.Cleanup(func() {
		cancel()
		<-ended
	})
}

package system

import (
	"context"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/sleep"
	"github.com/frayrpc/fray/sim/check"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/scenario"
)

// brokenForgeries is what a controller breaks that takes a forged call for what it claims to be.
const brokenForgeries = "forgeries-refused"

const (
	// maxLeaked is how many leases forgers know of, the last that were given.
	maxLeaked = 32
	// forgedItems is how many items a forged call has.
	forgedItems = 8
	// forgedWait is how long a forged poll or heartbeat lets the controller wait.
	forgedWait = 50 * time.Millisecond
	// unregisterWithin is how long a forger takes to leave.
	unregisterWithin = 5 * time.Second
)

// leakedLeases are the last leases that workers were granted, as one knows them who has read their logs.
// Those of the history's callback alone change it.
type leakedLeases struct{ attempts []*frayv1.Attempt }

func (l *leakedLeases) observe(e *check.Event) {
	if e.Kind != check.GrantReply {
		return
	}
	if len(l.attempts) == maxLeaked {
		l.attempts = append(l.attempts[:0], l.attempts[1:]...)
	}
	l.attempts = append(l.attempts, &frayv1.Attempt{TaskId: e.Task, Number: e.Attempt, LeaseToken: e.Token})
}

// A forgedSession is that of a forger, which it has by right.
type forgedSession struct {
	token uint64
	beats uint64
}

// forge makes a call under tokens that are not the forger's, in one of the ways there are. What is
// accepted all the same breaks a promise.
func (v *visitor) forge(ctx context.Context) error {
	if v.session.token == 0 {
		return v.enroll(ctx)
	}
	guessed := v.random.Uint64() | 1
	leases := v.stolen()
	var refused bool
	var what string
	var err error
	switch v.random.IntN(7) {
	case 0, 1:
		what = "the end of attempts that others hold"
		refused, err = v.reportForged(ctx, v.session.token, leases)
	case 2:
		what = "the end of attempts in a session that it guessed"
		refused, err = v.reportForged(ctx, guessed, leases)
	case 3:
		what = "the end of attempts by leases that it guessed"
		for _, l := range leases {
			l.LeaseToken = v.random.Uint64() | 1
		}
		refused, err = v.reportForged(ctx, v.session.token, leases)
	case 4:
		// It says that it holds what others hold, which moves nothing: that is for the oracles.
		v.session.beats++
		req := &frayv1.HeartbeatRequest{SessionToken: v.session.token, HeartbeatSeq: v.session.beats, MaxWaitMs: forgedWait.Milliseconds()}
		for _, l := range leases {
			req.RunningLeaseTokens = append(req.RunningLeaseTokens, l.GetLeaseToken())
		}
		_, err = v.mistaken.Heartbeat(ctx, req)
		refused = true
	case 5:
		what = "to be heard in a session that it guessed"
		_, err = v.mistaken.Heartbeat(ctx, &frayv1.HeartbeatRequest{SessionToken: guessed, HeartbeatSeq: 1, MaxWaitMs: forgedWait.Milliseconds()})
		refused, err = refusal(err, connect.CodeNotFound, connect.CodeFailedPrecondition)
	default:
		what = "for work in a session that it guessed"
		_, err = v.mistaken.LeaseTasks(ctx, &frayv1.LeaseTasksRequest{
			SessionToken: guessed, PollSeq: 1, FreeSlots: 1, MaxTasks: 1, MaxWaitMs: forgedWait.Milliseconds(),
		})
		refused, err = refusal(err, connect.CodeNotFound, connect.CodeFailedPrecondition)
	}
	if !refused && err == nil {
		v.do(func() {
			v.run.Flaw(scenario.VerdictInvariant, brokenForgeries, fmt.Sprintf("%s asked for %s, and was not refused", v.name, what))
		})
	}
	if code := connect.CodeOf(err); err != nil && (code == connect.CodeNotFound || code == connect.CodeFailedPrecondition) {
		v.session = forgedSession{} // It is over.
	}
	return err
}

// enroll opens a session as a worker that can run nothing.
func (v *visitor) enroll(ctx context.Context) error {
	res, err := v.mistaken.RegisterWorker(ctx, &frayv1.RegisterWorkerRequest{
		WorkerId: v.name, RegistrationId: fmt.Sprintf("%s-%d", v.name, v.random.Uint64()), Slots: 1, Functions: []string{"nothing-that-there-is"}, Fresh: true,
	})
	v.session = forgedSession{token: res.GetSessionToken()}
	return err
}

// goHome ends the session of a forger, as the run has no use for it.
func (v *visitor) goHome(ctx context.Context) {
	if v.session.token == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unregisterWithin)
	defer cancel()
	for {
		_, err := v.mistaken.UnregisterWorker(ctx, &frayv1.UnregisterWorkerRequest{SessionToken: v.session.token})
		if connect.CodeOf(err) != connect.CodeUnavailable && connect.CodeOf(err) != connect.CodeCanceled || sleep.For(ctx, v.about(forgedWait)) != nil {
			v.session = forgedSession{}
			return
		}
	}
}

// stolen returns some of the leases that were given last.
func (v *visitor) stolen() []*frayv1.Attempt {
	var some []*frayv1.Attempt
	v.History().Still(func() {
		for _, a := range v.leaked.attempts[max(0, len(v.leaked.attempts)-forgedItems):] {
			some = append(some, &frayv1.Attempt{TaskId: a.GetTaskId(), Number: a.GetNumber(), LeaseToken: a.GetLeaseToken()})
		}
	})
	return some
}

// reportForged reports that attempts have ended, and says whether none of it was accepted.
func (v *visitor) reportForged(ctx context.Context, session uint64, attempts []*frayv1.Attempt) (refused bool, err error) {
	req := &frayv1.ReportTasksRequest{SessionToken: session}
	for _, a := range attempts {
		req.Reports = append(req.Reports, &frayv1.TaskReport{
			Attempt: a, Outcome: frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED, Value: &frayv1.Payload{Data: []byte("forged")},
		})
	}
	v.do(func() { v.tally.change(func(f *cluster.Facts) { f.Visits.Forged++ }) })
	res, err := v.mistaken.ReportTasks(ctx, req)
	if err != nil {
		return refusal(err, connect.CodeNotFound, connect.CodeFailedPrecondition)
	}
	return !slices.Contains(res.GetVerdicts(), frayv1.ReportVerdict_REPORT_VERDICT_ACCEPTED), nil
}

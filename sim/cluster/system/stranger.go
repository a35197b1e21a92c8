package system

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/access"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/outgoing"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/scenario"
)

// brokenOwners is what a controller breaks that lets a stranger at the jobs of others.
const brokenOwners = "owners-kept"

// asksWho says whether callers have roles: there are strangers.
func (s *System) asksWho() bool {
	return slices.ContainsFunc(s.Workload.Visitors, func(g cluster.VisitorGroup) bool { return g.Stranger })
}

// operators are all who are neither clients nor workers: they have one name.
const operators = "operator"

// tokenOf returns what a caller shows; empty: nobody is asked.
func (s *System) tokenOf(caller string) string {
	if !s.asksWho() {
		return ""
	}
	return "the-secret-token-of-" + caller
}

// shows is the option of clients that show a caller's token.
func (s *System) shows(caller string) connect.ClientOption {
	token := s.tokenOf(caller)
	if token == "" {
		return connect.WithClientOptions()
	}
	return connect.WithInterceptors(outgoing.ShowToken(func() string { return token }))
}

// guarded puts a guard before a controller, if callers have roles.
func (s *System) guarded(handler http.Handler) (http.Handler, error) {
	if !s.asksWho() {
		return handler, nil
	}
	var text strings.Builder
	line := func(caller string, roles access.Roles) {
		fmt.Fprintf(&text, "token %s %s %v\n", s.tokenOf(caller), caller, roles)
	}
	line(operators, access.Operator)
	for i := range s.Topology.Workers {
		for _, host := range s.Topology.Workers[i].Hosts() {
			line(host, access.Worker)
		}
	}
	for i := range s.Workload.Clients {
		for _, host := range s.Workload.Clients[i].Hosts() {
			line(host, access.Client)
		}
	}
	for i := range s.Workload.Visitors {
		for _, host := range s.Workload.Visitors[i].Hosts() {
			if s.Workload.Visitors[i].Stranger {
				line(host, access.Client)
			}
		}
	}
	policy, err := access.Parse("callers", text.String())
	if err != nil {
		return nil, err
	}
	return access.NewGuard(access.GuardConfig{Policy: func() *access.Policy { return policy }}).Wrap(handler), nil
}

// trespass asks for tasks of others, or for a job of theirs, in one of the ways there are. What is told
// or done all the same breaks a promise.
func (v *visitor) trespass(ctx context.Context, names []string) error {
	var refused bool
	var what string
	var err error
	switch v.random.IntN(7) {
	case 0:
		what = "a task"
		_, err = v.mistaken.GetTask(ctx, &frayv1.GetTaskRequest{TaskId: names[0]})
		refused, err = refusal(err, connect.CodePermissionDenied, connect.CodeNotFound)
	case 1:
		what = "the result of a task"
		_, err = v.mistaken.GetTaskResult(ctx, &frayv1.GetTaskResultRequest{TaskId: names[0], MaxWaitMs: v.wait()})
		refused, err = refusal(err, connect.CodePermissionDenied, connect.CodeNotFound)
	case 2:
		what = "the results of tasks"
		var res *frayv1.GetTaskResultsResponse
		res, err = v.mistaken.GetTaskResults(ctx, &frayv1.GetTaskResultsRequest{TaskIds: names, MaxWaitMs: v.wait()})
		refused = len(res.GetResults()) == 0
	case 3:
		what = "the ends of a job"
		var res *frayv1.WatchJobResponse
		res, err = v.mistaken.WatchJob(ctx, &frayv1.WatchJobRequest{JobId: v.anyJob(), WatcherId: v.name, MaxWaitMs: v.wait()})
		if refused = len(res.GetResults()) == 0 && res.GetOpenCount() == 0; err != nil { // Nobody may have submitted to it yet.
			refused, err = refusal(err, connect.CodePermissionDenied)
		}
	case 4:
		what = "a list of all tasks"
		var res *frayv1.ListTasksResponse
		res, err = v.mistaken.ListTasks(ctx, &frayv1.ListTasksRequest{})
		refused = len(res.GetTasks()) == 0
	case 5:
		what = "the cancellation of tasks"
		var res *frayv1.CancelTasksResponse
		res, err = v.client.CancelTasks(ctx, &frayv1.CancelTasksRequest{TaskIds: names})
		refused = !slices.ContainsFunc(res.GetVerdicts(), func(got frayv1.CancelVerdict) bool {
			return got != frayv1.CancelVerdict_CANCEL_VERDICT_REFUSED && got != frayv1.CancelVerdict_CANCEL_VERDICT_NOT_FOUND
		})
	default:
		what = "the cancellation of a job"
		var res *frayv1.CancelTasksResponse
		res, err = v.client.CancelTasks(ctx, &frayv1.CancelTasksRequest{JobId: v.anyJob()})
		if refused = res.GetJobTaskCount() == 0; err != nil {
			refused, err = refusal(err, connect.CodePermissionDenied)
		}
	}
	if !refused && err == nil {
		v.do(func() {
			v.run.Flaw(scenario.VerdictInvariant, brokenOwners, fmt.Sprintf("%s asked for %s of others, and was not refused", v.name, what))
		})
	}
	return err
}

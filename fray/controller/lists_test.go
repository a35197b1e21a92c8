package controller_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/core"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// paged returns what all pages of a list have. A page is asked for by its token.
func paged[T any](t *testing.T, page func(token string) (items []T, next string, err error)) (all []T) {
	t.Helper()
	for token := ""; ; {
		items, next, err := page(token)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, items...)
		if token = next; token == "" {
			return all
		}
	}
}

// Jobs are listed in pages, those that were submitted to last first.
func TestListJobs(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	for i := range 5 {
		c.submitTo(fmt.Sprintf("j%d", i), fmt.Sprintf("t%d", i))
	}
	c.submitTo("j1", "again")
	w := c.worker("w1")
	leased := w.lease(1)[0]
	var got []string
	for _, j := range paged(t, func(token string) ([]*frayv1.Job, string, error) {
		r, err := c.ListJobs(t.Context(), &frayv1.ListJobsRequest{PageSize: 2, PageToken: token})
		return r.GetJobs(), r.GetNextPageToken(), err
	}) {
		got = append(got, fmt.Sprint(j.GetJobId(), " ", j.GetOpenCount(), j.GetReadyCount(), j.GetLeasedCount(), j.GetEndedCount()))
		if j.GetLastSubmittedUnixMs() == 0 || j.GetLastEndedUnixMs() != 0 {
			t.Errorf("job %v was never submitted to, or has an end", j)
		}
	}
	if want := "[j1 2 2 0 0 j4 1 1 0 0 j3 1 1 0 0 j2 1 1 0 0 j0 1 0 1 0]"; fmt.Sprint(got) != want {
		t.Errorf("the jobs are %v, want %s", got, want)
	}
	w.report(succeeded(leased, ""))
	r, err := c.ListJobs(t.Context(), &frayv1.ListJobsRequest{})
	if err != nil || len(r.GetJobs()) != 5 || r.GetJobs()[4].GetEndedCount() != 1 || r.GetJobs()[4].GetLastEndedUnixMs() == 0 {
		t.Errorf("the jobs are %v, %v; want 5, the last with an end", r, err)
	}
	if r, err = c.ListJobs(t.Context(), &frayv1.ListJobsRequest{OpenOnly: true}); err != nil || len(r.GetJobs()) != 4 {
		t.Errorf("the jobs with open tasks are %v, %v; want 4", r, err)
	}
	_, err = c.ListJobs(t.Context(), &frayv1.ListJobsRequest{PageToken: "t5"})
	wantCode(t, err, connect.CodeInvalidArgument)
}

// Tasks are listed in both orders, and by function, worker, time of submission and what they wait for.
func TestListTasksInBothOrdersAndByWhatTheyAre(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	c.submit("a", "b", "c")
	w := c.worker("w1")
	w.lease(1)
	first := c.status("a").GetSubmittedUnixMs()
	list := func(req *frayv1.ListTasksRequest) string {
		t.Helper()
		req.PageSize = 2
		var got []string
		for _, x := range paged(t, func(token string) ([]*frayv1.Task, string, error) {
			req.PageToken = token
			r, err := c.ListTasks(t.Context(), req)
			return r.GetTasks(), r.GetNextPageToken(), err
		}) {
			got = append(got, x.GetTaskId())
		}
		return strings.Join(got, " ")
	}
	for _, c := range []struct {
		want string
		req  *frayv1.ListTasksRequest
	}{
		{"a b c", &frayv1.ListTasksRequest{}},
		{"c b a", &frayv1.ListTasksRequest{NewestFirst: true}},
		{"a", &frayv1.ListTasksRequest{WorkerId: "w1"}},
		{"", &frayv1.ListTasksRequest{WorkerId: "w2", NewestFirst: true}},
		{"", &frayv1.ListTasksRequest{Function: "none"}},
		{"c b a", &frayv1.ListTasksRequest{SubmittedFromUnixMs: first, NewestFirst: true}},
		{"", &frayv1.ListTasksRequest{SubmittedUntilUnixMs: first}},
		{"b c", &frayv1.ListTasksRequest{PendingReasons: []frayv1.PendingReason{frayv1.PendingReason_PENDING_REASON_READY}}},
		{"", &frayv1.ListTasksRequest{PendingReasons: []frayv1.PendingReason{frayv1.PendingReason_PENDING_REASON_BACKOFF}}},
	} {
		if got := list(c.req); got != c.want {
			t.Errorf("%v: %q, want %q", c.req, got, c.want)
		}
	}
	r, err := c.ListTasks(t.Context(), &frayv1.ListTasksRequest{NewestFirst: true, PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.ListTasks(t.Context(), &frayv1.ListTasksRequest{PageToken: r.GetNextPageToken()})
	wantCode(t, err, connect.CodeInvalidArgument)
}

// Tasks that no worker can run wait for one.
func TestListPendingWithoutWorkers(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	c.submit("a", "b", "c")
	r, err := c.ListPending(t.Context(), &frayv1.ListPendingRequest{})
	if err != nil || r.GetTotalCount() != 3 || r.GetPartial() || len(r.GetGroups()) != 1 {
		t.Fatalf("pending are %v, %v", r, err)
	}
	g := r.GetGroups()[0]
	if g.GetReason() != frayv1.PendingReason_PENDING_REASON_NO_ELIGIBLE_WORKER || g.GetCount() != 3 || g.GetTaskId() != "a" ||
		g.GetDetail() != "there is no worker" || g.GetSinceUnixMs() < c.status("a").GetSubmittedUnixMs() {
		t.Errorf("the group is %v", g)
	}
}

// What tasks wait for is told in groups, the largest first, with one of each that has waited the longest.
func TestListPending(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	add := func(id string, edit func(*frayv1.TaskSpec)) {
		t.Helper()
		s := spec(id)
		edit(s)
		c.mustOffer(s)
	}
	c.submit("blocked-on")
	w := c.worker("w1")
	for i := range 3 {
		add(fmt.Sprint("elsewhere-", i), func(s *frayv1.TaskSpec) { s.Function = "nobody's" })
		c.submitTo(fmt.Sprint("job-", i), fmt.Sprint("ready-", i))
		add(fmt.Sprint("limited-", i), func(s *frayv1.TaskSpec) { s.Limits = []*frayv1.Limit{{Name: "license", MaxConcurrent: 1}} })
	}
	add("blocked", func(s *frayv1.TaskSpec) { s.NeededTaskIds = []string{"blocked-on"} })
	add("delayed", func(s *frayv1.TaskSpec) { s.NotBeforeUnixMs = time.Now().Add(time.Hour).UnixMilli() })
	w.lease(1)
	r, err := c.ListPending(t.Context(), &frayv1.ListPendingRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, g := range r.GetGroups() {
		got = append(got, fmt.Sprint(g.GetCount(), strings.TrimPrefix(g.GetReason().String(), "PENDING_REASON"), " ", g.GetFunction(), " ", g.GetTaskId()))
		if g.GetSinceUnixMs() < c.status(g.GetTaskId()).GetSubmittedUnixMs() {
			t.Errorf("%v waits since before it was submitted", g)
		}
		if g.GetReason() == frayv1.PendingReason_PENDING_REASON_NO_ELIGIBLE_WORKER && !strings.Contains(g.GetDetail(), "nobody's") {
			t.Errorf("%v has the detail %q", g.GetReason(), g.GetDetail())
		}
	}
	there := map[string]bool{}
	for _, g := range got {
		there[g] = true
	}
	for _, want := range []string{"4_READY f ready-0", "3_NO_ELIGIBLE_WORKER nobody's elsewhere-0", "2_THROTTLED f limited-1", "1_BLOCKED f blocked", "1_DELAYED f delayed"} {
		if !there[want] {
			t.Errorf("there is no %q among %q", want, got)
		}
	}
	if r.GetTotalCount() != 11 || r.GetPartial() || len(got) != 5 || !strings.HasPrefix(got[0], "4_") {
		t.Errorf("%d tasks in %q, partial: %v", r.GetTotalCount(), got, r.GetPartial())
	}
}

// Limits are listed in pages by name and key, with who has a place and who waits for one.
func TestListLimits(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	for i, l := range []*frayv1.Limit{
		{Name: "gpu", MaxConcurrent: 2},
		{Name: "gpu", MaxConcurrent: 2},
		{Name: "gpu", MaxConcurrent: 2},
		{Name: "api", Key: "b\u2028", MaxConcurrent: 1},
		{Name: "api", Key: "a-1", MaxStarts: 3, PeriodMs: 60_000},
	} {
		s := spec(fmt.Sprint("t", i))
		s.Limits = []*frayv1.Limit{l}
		c.mustOffer(s)
	}
	var got []string
	for _, l := range paged(t, func(token string) ([]*frayv1.LimitState, string, error) {
		r, err := c.ListLimits(t.Context(), &frayv1.ListLimitsRequest{PageSize: 1, PageToken: token})
		return r.GetLimits(), r.GetNextPageToken(), err
	}) {
		starts := "-"
		if l.StartCount != nil {
			starts = fmt.Sprint(l.GetStartCount())
		}
		got = append(got, fmt.Sprintf("%s/%q %d in use %d wait %s", l.GetLimit().GetName(), l.GetLimit().GetKey(), l.GetInUseCount(), l.GetWaitingCount(), starts))
	}
	if want := `api/"a-1" 1 in use 0 wait 3, api/"b\u2028" 1 in use 0 wait -, gpu/"" 2 in use 1 wait -`; strings.Join(got, ", ") != want {
		t.Errorf("limits are %q, want %s", got, want)
	}
	for _, token := range []string{"x", "t5", "l-", "l-9-9-", "l-1-x-ab", "l--1-2-abc", "l-99999999-1-a"} {
		_, err := c.ListLimits(t.Context(), &frayv1.ListLimitsRequest{PageToken: token})
		wantCode(t, err, connect.CodeInvalidArgument)
	}
}

// Objects are listed in pages, the latest first, with the jobs that hold them.
func TestListObjects(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	first := c.uploading("j1", "u1", patterned(10)).all(0)
	second := c.uploading("j2", "u2", patterned(core.PieceBytes+1)).all(0)
	third := c.uploading("j2", "u3", []byte("three")).all(0)
	if _, err := c.HoldObjects(t.Context(), &frayv1.HoldObjectsRequest{JobId: "j3", ObjectIds: []string{first.GetObjectId()}}); err != nil {
		t.Fatal(err)
	}
	line := func(o *frayv1.ObjectInfo, holders string) string {
		return fmt.Sprint(o.GetObjectId()[:8], " ", o.GetSizeBytes(), holders)
	}
	one, two, three := line(first, " [j1 j3] 2"), line(second, " [j2] 1"), line(third, " [j2] 1")
	for job, want := range map[string][]string{"": {three, two, one}, "j1": {one}, "j2": {three, two}, "j3": {one}, "nobody's": nil} {
		var got []string
		for _, o := range paged(t, func(token string) ([]*frayv1.HeldObject, string, error) {
			r, err := c.ListObjects(t.Context(), &frayv1.ListObjectsRequest{PageSize: 2, JobId: job, PageToken: token})
			return r.GetObjects(), r.GetNextPageToken(), err
		}) {
			got = append(got, line(o.GetObject(), fmt.Sprint(" ", o.GetJobIds(), " ", o.GetJobCount())))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("the objects of %q are %v, want %v", job, got, want)
		}
	}
	for _, token := range []string{"j5", "t1"} {
		_, err := c.ListObjects(t.Context(), &frayv1.ListObjectsRequest{PageToken: token})
		wantCode(t, err, connect.CodeInvalidArgument)
	}
}

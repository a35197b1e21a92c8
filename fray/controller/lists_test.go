package controller_test

import (
	"fmt"
	"strings"
	"testing"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

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
	req := &frayv1.ListJobsRequest{PageSize: 2}
	for {
		r, err := c.ListJobs(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range r.GetJobs() {
			got = append(got, fmt.Sprint(j.GetJobId(), " ", j.GetOpenCount(), j.GetReadyCount(), j.GetLeasedCount(), j.GetEndedCount()))
			if j.GetLastSubmittedUnixMs() == 0 || j.GetLastEndedUnixMs() != 0 {
				t.Errorf("job %v was never submitted to, or has an end", j)
			}
		}
		if req.PageToken = r.GetNextPageToken(); req.PageToken == "" {
			break
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
		for {
			r, err := c.ListTasks(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range r.GetTasks() {
				got = append(got, x.GetTaskId())
			}
			if req.PageToken = r.GetNextPageToken(); req.PageToken == "" {
				return strings.Join(got, " ")
			}
		}
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

// What tasks wait for is told in groups.
func TestListPending(t *testing.T) {
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

// Limits are listed by name and key, in pages.
func TestListLimits(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	for i, l := range []*frayv1.Limit{
		{Name: "gpu", MaxConcurrent: 1}, {Name: "gpu", MaxConcurrent: 1}, {Name: "api", Key: "a-1", MaxStarts: 3, PeriodMs: 60_000}, {Name: "api", Key: "b", MaxConcurrent: 2},
	} {
		s := spec(fmt.Sprint("t", i))
		s.Limits = []*frayv1.Limit{l}
		c.mustOffer(s)
	}
	var got []string
	req := &frayv1.ListLimitsRequest{PageSize: 1}
	for {
		r, err := c.ListLimits(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range r.GetLimits() {
			starts := "-"
			if l.StartCount != nil {
				starts = fmt.Sprint(l.GetStartCount())
			}
			got = append(got, fmt.Sprintf("%s/%s %d in use %d wait %s", l.GetLimit().GetName(), l.GetLimit().GetKey(), l.GetInUseCount(), l.GetWaitingCount(), starts))
		}
		if req.PageToken = r.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if want := "api/a-1 1 in use 0 wait 3, api/b 1 in use 0 wait -, gpu/ 1 in use 1 wait -"; strings.Join(got, ", ") != want {
		t.Errorf("limits are %q, want %s", got, want)
	}
	for _, token := range []string{"x", "l-", "l-9-9-", "l-1-x-ab", "l--1-2-abc", "l-99999999-1-a"} {
		_, err := c.ListLimits(t.Context(), &frayv1.ListLimitsRequest{PageToken: token})
		wantCode(t, err, connect.CodeInvalidArgument)
	}
}

// Objects are listed with who holds them, the latest first.
func TestListObjects(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	var names []string
	for i, text := range []string{"one", "two", "three"} {
		u := c.uploading(fmt.Sprint("j", i), text, []byte(text))
		names = append([]string{u.all(0).GetObjectId()}, names...)
	}
	var got []string
	req := &frayv1.ListObjectsRequest{PageSize: 2}
	for {
		r, err := c.ListObjects(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range r.GetObjects() {
			got = append(got, o.GetObject().GetObjectId())
			if o.GetJobCount() != 1 || len(o.GetJobIds()) != 1 {
				t.Errorf("object %v is held by other than one job", o)
			}
		}
		if req.PageToken = r.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(names) {
		t.Errorf("the objects are %v, want %v", got, names)
	}
	r, err := c.ListObjects(t.Context(), &frayv1.ListObjectsRequest{JobId: "j1"})
	if err != nil || len(r.GetObjects()) != 1 || r.GetObjects()[0].GetObject().GetObjectId() != names[1] {
		t.Errorf("the objects of j1 are %v, %v", r, err)
	}
	if r, err = c.ListObjects(t.Context(), &frayv1.ListObjectsRequest{JobId: "none"}); err != nil || len(r.GetObjects()) != 0 {
		t.Errorf("the objects of a job that is unknown are %v, %v", r, err)
	}
	_, err = c.ListObjects(t.Context(), &frayv1.ListObjectsRequest{PageToken: "t1"})
	wantCode(t, err, connect.CodeInvalidArgument)
}

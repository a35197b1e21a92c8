package controller_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/core"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// What tasks wait for is told in groups, the largest first, with one of each that has waited the longest.
func TestListPendingInGroups(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	add := func(job, id string, edit func(*frayv1.TaskSpec)) {
		t.Helper()
		s := spec(id)
		edit(s)
		if _, err := c.SubmitTask(t.Context(), &frayv1.SubmitTaskRequest{JobId: job, Task: s}); err != nil {
			t.Fatal(err)
		}
	}
	add("a", "blocked-on", func(*frayv1.TaskSpec) {})
	w := c.worker("w1")
	for i := range 3 {
		add("a", fmt.Sprint("elsewhere-", i), func(s *frayv1.TaskSpec) { s.Function = "nobody's" })
		add(fmt.Sprint("job-", i), fmt.Sprint("ready-", i), func(*frayv1.TaskSpec) {})
		add("a", fmt.Sprint("limited-", i), func(s *frayv1.TaskSpec) { s.Limits = []*frayv1.Limit{{Name: "license", MaxConcurrent: 1}} })
	}
	add("a", "blocked", func(s *frayv1.TaskSpec) { s.NeededTaskIds = []string{"blocked-on"} })
	add("a", "delayed", func(s *frayv1.TaskSpec) { s.NotBeforeUnixMs = time.Now().Add(time.Hour).UnixMilli() })
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
func TestListLimitsInPages(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	for i, l := range []*frayv1.Limit{
		{Name: "b", MaxConcurrent: 2},
		{Name: "b", MaxConcurrent: 2},
		{Name: "b", MaxConcurrent: 2},
		{Name: "a", Key: "z\u2028", MaxStarts: 3, PeriodMs: 60000},
		{Name: "a", Key: "y", MaxConcurrent: 1},
	} {
		s := spec(fmt.Sprint("t", i))
		s.Limits = []*frayv1.Limit{l}
		if _, err := c.SubmitTask(t.Context(), &frayv1.SubmitTaskRequest{JobId: "j", Task: s}); err != nil {
			t.Fatal(err)
		}
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
			got = append(got, fmt.Sprintf("%s %q %d+%d %s", l.GetLimit().GetName(), l.GetLimit().GetKey(), l.GetInUseCount(), l.GetWaitingCount(), starts))
		}
		if req.PageToken = r.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if want := `[a "y" 1+0 - a "z\u2028" 1+0 3 b "" 2+1 -]`; fmt.Sprint(got) != want {
		t.Errorf("the limits are %v, want %v", got, want)
	}
	for _, token := range []string{"l-", "t5", "l-" + base64.RawURLEncoding.EncodeToString([]byte("7"))} {
		_, err := c.ListLimits(t.Context(), &frayv1.ListLimitsRequest{PageToken: token})
		wantCode(t, err, connect.CodeInvalidArgument)
	}
}

// Objects are listed in pages, the latest first, with the jobs that hold them.
func TestListObjectsInPages(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	first := c.uploading("j1", "u1", patterned(10)).all(0)
	second := c.uploading("j2", "u2", patterned(core.PieceBytes+1)).all(0)
	if _, err := c.HoldObjects(t.Context(), &frayv1.HoldObjectsRequest{JobId: "j3", ObjectIds: []string{first.GetObjectId()}}); err != nil {
		t.Fatal(err)
	}
	list := func(job string) (got []string) {
		t.Helper()
		req := &frayv1.ListObjectsRequest{PageSize: 1, JobId: job}
		for {
			r, err := c.ListObjects(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range r.GetObjects() {
				got = append(got, fmt.Sprint(o.GetObject().GetObjectId()[:8], o.GetObject().GetSizeBytes(), o.GetJobIds(), o.GetJobCount()))
			}
			if req.PageToken = r.GetNextPageToken(); req.PageToken == "" {
				return got
			}
		}
	}
	one, two := fmt.Sprint(first.GetObjectId()[:8], 10, " [j1 j3] 2"), fmt.Sprint(second.GetObjectId()[:8], core.PieceBytes+1, " [j2] 1")
	for job, want := range map[string][]string{"": {two, one}, "j1": {one}, "j2": {two}, "j3": {one}, "nobody's": nil} {
		if got := list(job); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("the objects of %q are %v, want %v", job, got, want)
		}
	}
	_, err := c.ListObjects(t.Context(), &frayv1.ListObjectsRequest{PageToken: "j5"})
	wantCode(t, err, connect.CodeInvalidArgument)
}

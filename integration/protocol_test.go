package integration_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/integration/tasks"
	"github.com/frayrpc/fray/internal/reason"
)

// versions is a RoundTripper that notes the version of HTTP and the content type of each answer.
type versions struct {
	http.RoundTripper

	mu   sync.Mutex
	seen map[string]bool
}

func (v *versions) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := v.RoundTripper.RoundTrip(req)
	if err == nil {
		v.mu.Lock()
		v.seen[res.Proto+" "+res.Header.Get("Content-Type")] = true
		v.mu.Unlock()
	}
	return res, err
}

// acceptGzip undoes that Fray's clients do without compression.
var acceptGzip = connect.WithAcceptCompression("gzip",
	func() connect.Decompressor { return new(gzip.Reader) },
	func() connect.Compressor { return gzip.NewWriter(io.Discard) },
)

// One port speaks to everybody.
func TestClientProtocols(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.worker("w", "--slots", "4")
	for _, test := range []struct {
		name    string
		h2c     bool
		options []connect.ClientOption
		want    string
	}{
		{name: "Connect over HTTP/1.1", want: "HTTP/1.1 application/proto"},
		{name: "Connect over h2c", h2c: true, want: "HTTP/2.0 application/proto"},
		{name: "Connect in JSON", options: []connect.ClientOption{connect.WithProtoJSON()}, want: "HTTP/1.1 application/json"},
		{name: "Connect with gzip", options: []connect.ClientOption{acceptGzip, connect.WithSendGzip()}, want: "HTTP/1.1 application/proto"},
		{name: "gRPC over h2c", h2c: true, options: []connect.ClientOption{connect.WithGRPC()}, want: "HTTP/2.0 application/grpc"},
		{name: "gRPC-Web over HTTP/1.1", options: []connect.ClientOption{connect.WithGRPCWeb()}, want: "HTTP/1.1 application/grpc-web+proto"},
		{name: "gRPC-Web over h2c", h2c: true, options: []connect.ClientOption{connect.WithGRPCWeb()}, want: "HTTP/2.0 application/grpc-web+proto"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client := newHTTPClient(t, test.h2c)
			seen := &versions{RoundTripper: client.Transport, seen: map[string]bool{}}
			client.Transport = seen
			ctx := newClient(t, c.url(), fray.WithHTTP3(nil), fray.WithHTTPClient(client), fray.WithClientOptions(test.options...))
			futures, err := tasks.Square.RunAll(ctx, []int{1, 2, 3, 4, 5})
			if err != nil {
				t.Fatal(err)
			}
			for i, f := range futures {
				if v := get(ctx, t, f); v != (i+1)*(i+1) {
					t.Errorf("got %d", v)
				}
			}
			e := failed(ctx, t, run(ctx, t, tasks.Fail, tasks.Failure{Message: "no", Sentinel: true}))
			wantEnd(t, e, fray.ReasonApplication, 1, 1)
			// An error of the service keeps its code and its detail.
			raw := frayv1connect.NewControllerServiceClient(client, c.url(), test.options...)
			_, err = raw.GetTask(ctx, &frayv1.GetTaskRequest{TaskId: "nobody"})
			wantCode(t, err, connect.CodeNotFound)
			if reason := errorReason(t, err); reason != "UNKNOWN_TASK" {
				t.Errorf("reason %q in %v", reason, err)
			}
			seen.mu.Lock()
			defer seen.mu.Unlock()
			if got := slices.Sorted(maps.Keys(seen.seen)); len(got) == 0 || slices.ContainsFunc(got, func(s string) bool {
				return !strings.HasPrefix(s, test.want) && !strings.HasSuffix(s, " application/json") // an error of the Connect protocol
			}) {
				t.Errorf("spoke %q, want %q", got, test.want)
			}
		})
	}
}

// errorReason returns the reason that Fray gives in the detail of an error.
func errorReason(t testing.TB, err error) string {
	t.Helper()
	var e *connect.Error
	if !errors.As(err, &e) {
		t.Fatalf("no Connect error: %v", err)
	}
	return reason.Of(err).GetReason()
}

// curl posts JSON as a caller with nothing but an HTTP client does, and returns the status and the
// decoded answer.
func (c *cluster) curl(procedure, body string) (status int, answer map[string]any) {
	c.t.Helper()
	url := c.url() + "/fray.v1.ControllerService/" + procedure
	req, err := http.NewRequestWithContext(c.context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&answer); err != nil {
		c.t.Fatalf("%s answers %d %q: %v", procedure, res.StatusCode, data, err)
	}
	return res.StatusCode, answer
}

// dig returns what stands in a JSON object under a path; nil: nothing.
func dig(v map[string]any, path ...string) any {
	for _, key := range path[:len(path)-1] {
		v, _ = v[key].(map[string]any)
	}
	return v[path[len(path)-1]]
}

// is says whether a field of a JSON object is true; JSON leaves out what is false.
func is(v map[string]any, field string) bool {
	b, _ := v[field].(bool)
	return b
}

func TestPlainJSON(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.worker("w")
	playOn(t, c, []scenario{
		{
			name: "submit and wait", protects: "a task can be run with curl alone",
			run: func(t *testing.T, c *cluster) {
				// data is base64, as proto3 JSON has bytes: 7.
				status, answer := c.curl("SubmitTask", `{"jobId": "curl", "task": {"taskId": "c1", "function": "square", "payload": {"encoding": "json", "data": "Nw=="}}}`)
				if status != http.StatusOK || !is(answer, "created") || dig(answer, "task", "taskId") != "c1" {
					t.Errorf("submit: %d %v", status, answer)
				}
				status, answer = c.curl("GetTaskResult", `{"taskId": "c1", "maxWaitMs": 20000}`)
				if status != http.StatusOK || dig(answer, "result", "task", "status") != "TASK_STATUS_COMPLETED" || dig(answer, "result", "value", "data") != "NDk=" {
					t.Errorf("result: %d %v", status, answer)
				}
			},
		},
		{
			name: "bad input", protects: "an error says what is wrong with which field, in a body that programs can read",
			run: func(t *testing.T, c *cluster) {
				status, answer := c.curl("SubmitTask", `{"jobId": "curl", "task": {"taskId": "no spaces", "function": "square"}}`)
				message, _ := answer["message"].(string)
				if status != http.StatusBadRequest || answer["code"] != "invalid_argument" || !strings.Contains(message, "task_id") {
					t.Errorf("got %d %v", status, answer)
				}
				status, answer = c.curl("SubmitTask", `{"jobId": "curl", "task": `)
				if status != http.StatusBadRequest || answer["code"] != "invalid_argument" {
					t.Errorf("got %d %v", status, answer)
				}
			},
		},
		{
			name: "unknown task", protects: "an unknown id is told apart from everything else",
			run: func(t *testing.T, c *cluster) {
				status, answer := c.curl("GetTask", `{"taskId": "nobody"}`)
				message, _ := answer["message"].(string)
				if status != http.StatusNotFound || answer["code"] != "not_found" || !strings.Contains(message, "nobody") {
					t.Errorf("got %d %v", status, answer)
				}
			},
		},
		{
			name: "submitted twice", protects: "a submission can be repeated, and an id never stands for two tasks",
			run: func(t *testing.T, c *cluster) {
				const spec = `{"jobId": "%s", "task": {"taskId": "twice", "function": "touch", "payload": {"encoding": "json", "data": "%s"}}}`
				first := fmt.Sprintf(spec, "curl", "IiI=") // ""
				if status, answer := c.curl("SubmitTask", first); status != http.StatusOK || !is(answer, "created") {
					t.Errorf("got %d %v", status, answer)
				}
				if status, answer := c.curl("SubmitTask", first); status != http.StatusOK || is(answer, "created") {
					t.Errorf("got %d %v", status, answer)
				}
				c.curl("GetTaskResult", `{"taskId": "twice", "maxWaitMs": 20000}`)
				if status, answer := c.curl("SubmitTask", first); status != http.StatusOK || dig(answer, "task", "status") != "TASK_STATUS_COMPLETED" {
					t.Errorf("after its end: %d %v", status, answer)
				}
				status, answer := c.curl("SubmitTask", fmt.Sprintf(spec, "curl", "Ii90bXAi"))
				if status != http.StatusConflict || answer["code"] != "already_exists" {
					t.Errorf("other payload: %d %v", status, answer)
				}
				status, answer = c.curl("SubmitTask", fmt.Sprintf(spec, "other", "IiI="))
				if status != http.StatusConflict || answer["code"] != "already_exists" {
					t.Errorf("other job: %d %v", status, answer)
				}
			},
		},
		{
			name: "pages", protects: "a list of any length can be read page by page, oldest first, each task once",
			run: testPages,
		},
	})
}

func testPages(t *testing.T, c *cluster) {
	const n, page = 25, 7
	ctx := c.client(fray.WithJobID("paged"))
	futures, err := tasks.Square.RunAll(ctx, make([]int, n), fray.WithTaskID("page"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range futures {
		get(ctx, t, f)
	}
	open := run(ctx, t, tasks.Square, 1, fray.WithLabels(map[string]string{"no": "where"}), fray.WithTaskID("open"))
	list := func(more string) (ids []string) {
		token := ""
		for range n {
			status, answer := c.curl("ListTasks", fmt.Sprintf(`{"jobId": "paged", "pageSize": %d, "pageToken": %q%s}`, page, token, more))
			if status != http.StatusOK {
				t.Fatalf("got %d %v", status, answer)
			}
			found, _ := answer["tasks"].([]any)
			if len(found) > page {
				t.Errorf("page of %d", len(found))
			}
			for _, v := range found {
				task, _ := v.(map[string]any)
				ids = append(ids, fmt.Sprint(task["taskId"]))
			}
			if token, _ = answer["nextPageToken"].(string); token == "" {
				return ids
			}
		}
		t.Fatal("the pages have no end")
		return nil
	}
	var done []string
	for _, f := range futures {
		done = append(done, f.ID())
	}
	if got := list(""); !slices.Equal(got, append(slices.Clone(done), "open")) {
		t.Errorf("listed %v", got)
	}
	if got := list(`, "statuses": ["TASK_STATUS_COMPLETED"]`); !slices.Equal(got, done) {
		t.Errorf("listed as completed %v", got)
	}
	if got := list(`, "statuses": ["TASK_STATUS_PENDING", "TASK_STATUS_RUNNING"]`); !slices.Equal(got, []string{"open"}) {
		t.Errorf("listed as open %v", got)
	}
	if status, answer := c.curl("ListTasks", `{"pageToken": "made up"}`); status != http.StatusBadRequest {
		t.Errorf("made up token: %d %v", status, answer)
	}
	if err := open.Cancel(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestWorkerService(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "--session-ttl", shortTTL)
	w := c.worker("w", "--slots", "3", "--label", "zone=a", "--resource", "cpu=500")
	ctx := c.client()
	h := c.hold()
	futures, err := tasks.Held.RunAll(ctx, []tasks.Hold{h, h})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range futures {
		c.awaitHeld(f.ID(), h)
	}
	client := frayv1connect.NewWorkerServiceClient(c.http, w.url)
	health := c.workerHealth(ctx, client)
	if health.GetHealth() != frayv1.WorkerHealth_WORKER_HEALTH_SERVING || health.GetWorkerId() != "w" || health.GetSlots() != 3 || health.GetRunningCount() != 2 {
		t.Errorf("health %v", health)
	}
	if age := time.Since(time.UnixMilli(health.GetStartedUnixMs())); age < 0 || age > time.Hour {
		t.Errorf("started %v ago", age)
	}
	list, err := client.ListTasks(ctx, &frayv1.WorkerServiceListTasksRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, task := range list.GetTasks() {
		ids = append(ids, task.GetAttempt().GetTaskId())
		if task.GetFunction() != "held" || task.GetState() != frayv1.AttemptState_ATTEMPT_STATE_RUNNING || task.GetAttempt().GetNumber() != 1 {
			t.Errorf("lists %v", task)
		}
	}
	if want := []string{futures[0].ID(), futures[1].ID()}; !slices.Equal(ids, want) {
		t.Errorf("lists %v, want %v", ids, want)
	}
	// The controller tells the same.
	known := c.findWorker("w")
	if known.GetHeldCount() != 2 || known.GetAdvertiseUrl() != w.url || known.GetLabels()["zone"] != "a" || known.GetResources()["cpu"] != 500 || known.GetSlots() != 3 {
		t.Errorf("controller knows %v", known)
	}
	c.open(h)
	eventually(t, "the worker has nothing to do", func() bool {
		res := c.workerHealth(ctx, client)
		return res.GetRunningCount() == 0 && res.GetOutboxCount() == 0
	})
	c.controller.kill()
	eventually(t, "the worker says that it is disconnected", func() bool {
		return c.workerHealth(ctx, client).GetHealth() == frayv1.WorkerHealth_WORKER_HEALTH_DISCONNECTED
	})
}

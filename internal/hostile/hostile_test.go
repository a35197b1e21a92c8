package hostile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/hostile"
)

func getTask(t *testing.T) hostile.Method {
	t.Helper()
	methods, err := hostile.Methods(frayv1connect.ControllerServiceGetTaskProcedure)
	if err != nil {
		t.Fatal(err)
	}
	return methods[0]
}

func TestUnknownProcedureIsNamed(t *testing.T) {
	t.Parallel()
	for _, procedure := range []string{"/fray.v1.ControllerService/Nothing", "/fray.v1.Task", ""} {
		if _, err := hostile.Methods(procedure); err == nil || !strings.Contains(err.Error(), procedure) {
			t.Errorf("%q: %v", procedure, err)
		}
	}
}

func TestEqualChanceGivesEqualRequests(t *testing.T) {
	t.Parallel()
	m := getTask(t)
	for seed := range uint64(300) {
		one := hostile.Draw(rand.New(rand.NewPCG(seed, 0)), m, nil)
		again := hostile.Draw(rand.New(rand.NewPCG(seed, 0)), m, nil)
		if one.String() != again.String() || !bytes.Equal(one.Body, again.Body) {
			t.Errorf("seed %d:\n%v\n%v", seed, one, again)
		}
	}
}

// server is a controller that has every task.
type server struct {
	frayv1connect.UnimplementedControllerServiceHandler
}

func (server) GetTask(_ context.Context, req *frayv1.GetTaskRequest) (*frayv1.GetTaskResponse, error) {
	return &frayv1.GetTaskResponse{Task: &frayv1.Task{TaskId: req.GetTaskId(), JobId: strings.Repeat("a", 2000)}}, nil
}

// What is drawn without a flaw is understood, in every encoding.
func TestFlawlessRequestsAreUnderstood(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.Handle(frayv1connect.NewControllerServiceHandler(server{}))
	s := httptest.NewUnstartedServer(mux)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	defer s.Close()
	h1 := &http.Transport{DisableCompression: true}
	h2 := &http.Transport{DisableCompression: true, Protocols: new(http.Protocols)}
	h2.Protocols.SetUnencryptedHTTP2(true)
	defer h1.CloseIdleConnections()
	defer h2.CloseIdleConnections()
	m := getTask(t)
	pool := &hostile.Pool{}
	pool.Add("task_ids", "of-the-pool")
	understood, pooled, flaws := map[string]int{}, 0, map[string]bool{}
	for seed := range uint64(1000) {
		q := hostile.Draw(rand.New(rand.NewPCG(seed, 1)), m, pool)
		for _, name := range q.Flaws {
			flaws[name] = true
		}
		if len(q.Flaws) > 0 {
			continue
		}
		req, err := q.HTTP(t.Context(), s.URL, "")
		if err != nil {
			t.Fatalf("%v\n%v", err, q)
		}
		client := &http.Client{Transport: h1}
		if q.HTTP2 {
			client.Transport = h2
		}
		a, err := hostile.Send(client, req)
		if err != nil {
			t.Fatalf("%v\n%v", err, q)
		}
		code, message, err := a.Judge(q)
		if err != nil || code != "ok" && code != "invalid_argument" && code != "deadline_exceeded" {
			t.Fatalf("%s, %v\n%v\n%x", code, err, q, q.Body)
		}
		if code == "ok" {
			understood[q.Encoding+" "+q.Codec]++
			if strings.Contains(fmt.Sprint(message), "of-the-pool") {
				pooled++
			}
		}
	}
	for _, encoding := range hostile.Encodings {
		for _, codec := range []string{"proto", "json"} {
			if n := understood[encoding+" "+codec]; n < 3 && encoding != "connect-stream" {
				t.Errorf("%s of %s is understood %d times", encoding, codec, n)
			}
		}
	}
	if pooled < 20 {
		t.Errorf("the pool's task is asked for %d times", pooled)
	}
	if len(flaws) < 20 {
		t.Errorf("there are %d flaws: %v", len(flaws), flaws)
	}
}

// A pool has what servers tell, by what it names, and nothing that is to be skipped.
func TestPoolLearns(t *testing.T) {
	t.Parallel()
	pool := &hostile.Pool{}
	pool.Learn((&frayv1.ListTasksResponse{Tasks: []*frayv1.Task{{TaskId: "learned"}}}).ProtoReflect())
	m := getTask(t)
	learned := func() (n int) {
		for seed := range uint64(100) {
			if strings.Contains(fmt.Sprint(hostile.Message(rand.New(rand.NewPCG(seed, 0)), m.Input(), pool)), "learned") {
				n++
			}
		}
		return n
	}
	if n := learned(); n < 20 {
		t.Errorf("what was learned is drawn %d times of 100", n)
	}
	pool = &hostile.Pool{Skip: func(m protoreflect.Message) bool { return m.Descriptor().Name() == "Task" }}
	pool.Learn((&frayv1.ListTasksResponse{Tasks: []*frayv1.Task{{TaskId: "learned"}}}).ProtoReflect())
	if n := learned(); n > 0 {
		t.Errorf("what was to be skipped is drawn %d times", n)
	}
}

// Every way in which a server can say that it did not know what to do is a finding.
func TestFindings(t *testing.T) {
	t.Parallel()
	header := func(kind string, more ...string) http.Header {
		h := http.Header{"Content-Type": {kind}}
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	q := &hostile.Request{Method: getTask(t), Verb: http.MethodPost}
	for _, tt := range []struct {
		name   string
		answer hostile.Answer
		code   string // empty: it is a finding
	}{
		{"unary ok", hostile.Answer{Status: 200, Header: header("application/json"), Body: []byte(`{"task":{"taskId":"a"}}`)}, "ok"},
		{"unary refusal", hostile.Answer{Status: 404, Header: header("application/json"), Body: []byte(`{"code":"not_found"}`)}, "not_found"},
		{"plain HTTP", hostile.Answer{Status: 415, Header: header("text/plain")}, "http 415"},
		{"500", hostile.Answer{Status: 500, Header: header("text/plain")}, ""},
		{"unary internal", hostile.Answer{Status: 400, Header: header("application/json"), Body: []byte(`{"code":"internal"}`)}, ""},
		{"unary of another schema", hostile.Answer{Status: 200, Header: header("application/json"), Body: []byte(`{"x":1}`)}, ""},
		{"unary without a code", hostile.Answer{Status: 400, Header: header("application/json"), Body: []byte(`{}`)}, ""},
		{"grpc ok", hostile.Answer{Status: 200, Header: header("application/grpc"), Trailer: header("", "Grpc-Status", "0"), Body: []byte("\x00\x00\x00\x00\x00")}, "ok"},
		{"grpc refusal", hostile.Answer{Status: 200, Header: header("application/grpc", "Grpc-Status", "5")}, "not_found"},
		{"grpc internal", hostile.Answer{Status: 200, Header: header("application/grpc", "Grpc-Status", "13")}, ""},
		{"grpc unknown", hostile.Answer{Status: 200, Header: header("application/grpc"), Trailer: header("", "Grpc-Status", "2")}, ""},
		{"grpc without a status", hostile.Answer{Status: 200, Header: header("application/grpc")}, ""},
		{"grpc-web refusal", hostile.Answer{Status: 200, Header: header("application/grpc-web+proto"), Body: []byte("\x80\x00\x00\x00\x10grpc-status: 5\r\n")}, "not_found"},
		{"grpc-web data loss", hostile.Answer{Status: 200, Header: header("application/grpc-web+proto"), Body: []byte("\x80\x00\x00\x00\x11grpc-status: 15\r\n")}, ""},
		{"grpc-web cut", hostile.Answer{Status: 200, Header: header("application/grpc-web+proto"), Body: []byte("\x80\x00\x00\x00\x11grpc")}, ""},
		{"stream ok", hostile.Answer{Status: 200, Header: header("application/connect+json"), Body: []byte("\x00\x00\x00\x00\x02{}\x02\x00\x00\x00\x02{}")}, "ok"},
		{"stream unknown", hostile.Answer{Status: 200, Header: header("application/connect+json"), Body: []byte("\x02\x00\x00\x00\x1c" + `{"error":{"code":"unknown"}}`)}, ""},
		{"stream without an end", hostile.Answer{Status: 200, Header: header("application/connect+json"), Body: []byte("\x00\x00\x00\x00\x02{}")}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.answer.Whole = true
			code, _, err := tt.answer.Judge(q)
			var finding *hostile.FindingError
			if errors.As(err, &finding) != (tt.code == "") || tt.code != "" && code != tt.code {
				t.Errorf("%q, %v", code, err)
			}
		})
	}
}

// A dumped request is what a server reads.
func TestDump(t *testing.T) {
	t.Parallel()
	q := &hostile.Request{Method: getTask(t), Verb: http.MethodPost, Target: "/a", Header: http.Header{"X-A": {"b"}}, Body: []byte("body")}
	var b bytes.Buffer
	if err := q.Dump(&b, "here"); err != nil {
		t.Fatal(err)
	}
	if want := "POST /a HTTP/1.1\r\nContent-Length: 4\r\nHost: here\r\nX-A: b\r\n\r\nbody"; b.String() != want {
		t.Errorf("%q", b.String())
	}
	kinds := map[string]bool{}
	for seed := range uint64(100) {
		wire, flaw := q.Raw(rand.New(rand.NewPCG(seed, 0)), "here")
		if flaw != "cut" && reflect.DeepEqual(wire, b.Bytes()) {
			t.Errorf("%s: nothing is wrong", flaw)
		}
		kinds[flaw] = true
	}
	if len(kinds) < 7 {
		t.Errorf("there are %v", kinds)
	}
}

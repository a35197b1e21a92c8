package controller_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/internal/serve"
	"github.com/frayrpc/fray/fray/store"
	faultsv1 "github.com/frayrpc/fray/gen/faults/v1"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/hostile"
	"github.com/frayrpc/fray/internal/race"
)

// Bounds of what one request of a few kilobytes may cost, even on a busy machine.
const (
	hostileBytes = 256 << 20
	hostileTime  = 10 * time.Second
	hostileItems = 1_500_000
)

// target is every service of Fray, as they are served.
type target struct {
	client  *http.Client
	url     map[protoreflect.FullName]string // of each service
	methods []protoreflect.MethodDescriptor
}

func newTarget(tb testing.TB) *target {
	tb.Helper()
	c, err := controller.New(controller.Config{Store: store.NewMemory(), ListenAddress: "127.0.0.1:0"})
	if err != nil {
		tb.Fatal(err)
	}
	injector := faults.New(faults.Config{})
	worker, err := serve.New(serve.Config{Address: "127.0.0.1:0", Services: []serve.Service{{
		Name: frayv1connect.WorkerServiceName, New: unimplementedWorker,
	}}, Middleware: []func(http.Handler) http.Handler{faults.WithService(injector)}})
	if err != nil {
		tb.Fatal(err)
	}
	if err := worker.Listen(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	var errs [2]error
	running.Go(func() { errs[0] = c.Run(ctx) })
	running.Go(func() { errs[1] = worker.Run(ctx) })
	transport := &http.Transport{DisableCompression: true}
	tb.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel()
		running.Wait()
		injector.Close()
		for _, err := range errs {
			if err != nil {
				tb.Error(err)
			}
		}
	})
	<-c.Ready()
	tg := &target{client: &http.Client{Transport: transport}, url: map[protoreflect.FullName]string{}}
	for _, of := range []struct {
		file protoreflect.FileDescriptor
		url  string
	}{{frayv1.File_fray_v1_controller_proto, c.URL()}, {frayv1.File_fray_v1_worker_proto, worker.URL()}, {faultsv1.File_faults_v1_faults_proto, worker.URL()}} {
		for i := range of.file.Services().Len() {
			s := of.file.Services().Get(i)
			tg.url[s.FullName()] = of.url
			for j := range s.Methods().Len() {
				tg.methods = append(tg.methods, s.Methods().Get(j))
			}
		}
	}
	return tg
}

// send posts a body, and returns the status and the beginning of the answer.
func (tg *target) send(tb testing.TB, m protoreflect.MethodDescriptor, contentType string, body []byte, zipped bool) (int, string) {
	tb.Helper()
	service := m.Parent().FullName()
	ctx, cancel := context.WithTimeout(tb.Context(), 4*hostileTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, tg.url[service]+"/"+string(service)+"/"+string(m.Name()), bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Connect-Timeout-Ms", "200")
	if zipped {
		req.Header.Set("Content-Encoding", "gzip")
	}
	res, err := tg.client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(res.Body, 512))
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode, string(text)
}

// cost says what a call allocates and how long it takes. Others allocate a little meanwhile.
func cost(call func()) (allocated uint64, took time.Duration) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	call()
	took = time.Since(began)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, took
}

func zip(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(data)
	_ = w.Close()
	return b.Bytes()
}

// A bomb is a message that is small and stands for much.
type bomb struct {
	name, contentType string
	body              []byte
}

// bombs are the ways to list too much in a message: in each of its lists and maps, and in those of
// the messages in it.
func bombs(d protoreflect.MessageDescriptor, wrap func(field []byte) []byte, wrapJSON func(string) string, path string, depth int) []bomb {
	var list []bomb
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		name := path + "." + string(f.Name())
		if f.Cardinality() == protoreflect.Repeated {
			item := protowire.AppendBytes(protowire.AppendTag(nil, f.Number(), protowire.BytesType), nil)
			text := `"` + f.JSONName() + `":[` + strings.TrimSuffix(strings.Repeat(emptyJSON(f)+",", hostileItems), ",") + `]`
			switch {
			case f.IsMap():
				text = `"` + f.JSONName() + `":{` + strings.TrimSuffix(strings.Repeat(`"a":`+emptyJSON(f.MapValue())+",", hostileItems), ",") + `}`
			case f.IsPacked():
				item = protowire.AppendBytes(protowire.AppendTag(nil, f.Number(), protowire.BytesType), make([]byte, 8*hostileItems))
				list = append(list, bomb{name, "application/proto", zip(wrap(item))})
				item = nil
			}
			if item != nil {
				list = append(list, bomb{name, "application/proto", zip(wrap(bytes.Repeat(item, hostileItems)))})
			}
			list = append(list, bomb{name, "application/json", zip([]byte(wrapJSON("{" + text + "}")))})
		}
		if f.Message() != nil && !f.IsMap() && depth > 0 {
			list = append(list, bombs(f.Message(), func(b []byte) []byte {
				return wrap(protowire.AppendBytes(protowire.AppendTag(nil, f.Number(), protowire.BytesType), b))
			}, func(text string) string {
				if f.Cardinality() == protoreflect.Repeated {
					text = "[" + text + "]"
				}
				return wrapJSON(`{"` + f.JSONName() + `":` + text + `}`)
			}, name, depth-1)...)
		}
	}
	return list
}

func emptyJSON(f protoreflect.FieldDescriptor) string {
	switch f.Kind() {
	case protoreflect.MessageKind:
		return "{}"
	case protoreflect.StringKind, protoreflect.BytesKind:
		return `""`
	}
	return "0"
}

// Three kilobytes can say one and a half million items. No RPC makes room for them, nor tells of
// what is wrong with each.
func TestSmallRequestsCostLittle(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector costs more than what is measured")
	}
	tg := newTarget(t)
	zeros := zip(make([]byte, 256<<20))
	for _, m := range tg.methods {
		same := func(b []byte) []byte { return b }
		list := bombs(m.Input(), same, func(s string) string { return s }, string(m.FullName()), 3)
		// What a message says in no field at all, which is skipped or kept.
		unknown := protowire.AppendBytes(protowire.AppendTag(nil, 999, protowire.BytesType), nil)
		list = append(list,
			bomb{string(m.FullName()) + " unknown", "application/proto", zip(bytes.Repeat(unknown, hostileItems))},
			bomb{string(m.FullName()) + " unknown", "application/json", zip([]byte(`{"x":[` + strings.TrimSuffix(strings.Repeat("{},", hostileItems), ",") + `]}`))},
			bomb{string(m.FullName()) + " zeros", "application/proto", zeros},
		)
		for _, b := range list {
			var status int
			var text string
			allocated, took := cost(func() { status, text = tg.send(t, m, b.contentType, b.body, true) })
			t.Logf("%-60s %s: %d bytes cost %d MiB and %v: %d", b.name, b.contentType, len(b.body), allocated>>20, took, status)
			most, longest := uint64(hostileBytes), hostileTime
			if strings.HasSuffix(b.name, " zeros") {
				most, longest = 1<<30, 3*hostileTime // It is as large as the largest request may be.
			}
			if allocated > most || took > longest {
				t.Errorf("%s as %s: %d bytes cost %d MiB and %v: %d %s", b.name, b.contentType, len(b.body), allocated>>20, took, status, text)
			}
			if status == http.StatusInternalServerError {
				t.Errorf("%s: %s", b.name, text)
			}
		}
	}
}

// Whatever a request is, in whatever encoding, it is answered, at a bounded cost, and those of others go on. The seeds
// are requests of all kinds of all RPCs.
func FuzzRequests(f *testing.F) {
	for seed := range uint64(64) {
		f.Add(seed)
	}
	tg := newTarget(f)
	procedures := make([]string, 0, len(tg.methods))
	for _, m := range tg.methods {
		procedures = append(procedures, fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name()))
	}
	methods, err := hostile.Methods(procedures...)
	if err != nil {
		f.Fatal(err)
	}
	info := slices.Index(procedures, frayv1connect.ControllerServiceGetClusterInfoProcedure)
	h2c := &http.Transport{DisableCompression: true, Protocols: new(http.Protocols)}
	h2c.Protocols.SetUnencryptedHTTP2(true)
	f.Cleanup(h2c.CloseIdleConnections)
	f.Fuzz(func(t *testing.T, seed uint64) {
		q := hostile.Draw(rand.New(rand.NewPCG(seed, 0)), methods[int(seed%uint64(len(methods)))], nil)
		ctx, cancel := context.WithTimeout(t.Context(), hostileTime)
		defer cancel()
		req, err := q.HTTP(ctx, tg.url[protoreflect.FullName(q.Method.Service())], "")
		if err != nil {
			t.Skip(err)
		}
		client := tg.client
		if q.HTTP2 {
			client = &http.Client{Transport: h2c}
		}
		var answer hostile.Answer
		allocated, took := cost(func() { answer, err = hostile.Send(client, req) })
		size := 0
		if q.Message != nil {
			size = proto.Size(q.Message.Interface())
		}
		if most := uint64(hostileBytes + 40*size); allocated > most || took >= hostileTime && !q.Patient() {
			t.Errorf("%v\n%d bytes, a message of %d, cost %d MiB and %v: %d", q, len(q.Body), size, allocated>>20, took, answer.Status)
		}
		if err == nil {
			if _, _, err := answer.Judge(q); err != nil {
				t.Errorf("%v\n%v\nbody: %.200x", err, q, q.Body)
			}
		}
		if status, text := tg.send(t, tg.methods[info], "application/json", []byte("{}"), false); status != http.StatusOK {
			t.Errorf("%v\nafterwards the controller says %d %s", q, status, text)
		}
	})
}

// unimplementedWorker has the requests of WorkerService decoded, and answers none.
func unimplementedWorker(options ...connect.HandlerOption) (string, http.Handler) {
	return frayv1connect.NewWorkerServiceHandler(frayv1connect.UnimplementedWorkerServiceHandler{}, options...)
}

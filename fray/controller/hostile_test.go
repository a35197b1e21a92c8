package controller_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/internal/serve"
	"github.com/frayrpc/fray/fray/store"
	faultsv1 "github.com/frayrpc/fray/gen/faults/v1"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
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
	worker, err := serve.New(serve.Config{Address: "127.0.0.1:0", Services: []serve.Service{{
		Name: frayv1connect.WorkerServiceName, New: unimplementedWorker,
	}}})
	if err != nil {
		tb.Fatal(err)
	}
	if err := worker.Listen(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	injector := faults.New(faults.Config{})
	mux := http.NewServeMux()
	mux.Handle(faults.NewService(injector))
	faulty := httptest.NewServer(mux)
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
		faulty.Close()
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
	}{{frayv1.File_fray_v1_controller_proto, c.URL()}, {frayv1.File_fray_v1_worker_proto, worker.URL()}, {faultsv1.File_faults_v1_faults_proto, faulty.URL}} {
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

// Whatever a request is, it is answered, and those of others go on. The seeds are requests of all
// kinds of all RPCs.
func FuzzRequests(f *testing.F) {
	for seed := range uint64(24) {
		f.Add(seed)
	}
	tg := newTarget(f)
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		m := tg.methods[int(seed%uint64(len(tg.methods)))]
		message := dynamicpb.NewMessage(m.Input())
		fill(r, message, 3)
		contentType := "application/proto"
		body, err := proto.Marshal(message)
		if r.IntN(3) == 0 {
			contentType = "application/json"
			body, err = protojson.Marshal(message)
		}
		if err != nil {
			t.Skip(err)
		}
		for range r.IntN(3) {
			if i := r.IntN(len(body) + 1); i < len(body) {
				body[i] ^= byte(1 << r.IntN(8))
			}
		}
		sent, zipped := body, r.IntN(2) == 0
		if zipped {
			sent = zip(body)
		}
		var status int
		var text string
		allocated, took := cost(func() { status, text = tg.send(t, m, contentType, sent, zipped) })
		if most := uint64(hostileBytes + 40*len(body)); allocated > most || took > hostileTime {
			t.Errorf("%s: %d bytes, %d as sent, cost %d MiB and %v: %d %s", m.FullName(), len(body), len(sent), allocated>>20, took, status, text)
		}
		if status == http.StatusInternalServerError || status == 0 {
			t.Errorf("%s: %d %s", m.FullName(), status, text)
		}
		if status, text := tg.send(t, tg.methods[infoMethod(tg)], "application/json", []byte("{}"), false); status != http.StatusOK {
			t.Errorf("%s: afterwards the controller says %d %s", m.FullName(), status, text)
		}
	})
}

func infoMethod(tg *target) int {
	for i, m := range tg.methods {
		if m.Name() == "GetClusterInfo" {
			return i
		}
	}
	panic("no GetClusterInfo")
}

// length is a number of items: mostly few, now and then many.
func length(r *rand.Rand) int {
	switch r.IntN(12) {
	case 0:
		return r.IntN(200_000)
	case 1:
		return r.IntN(2_000)
	}
	return r.IntN(4)
}

// fill sets fields of a message at random.
func fill(r *rand.Rand, m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if r.IntN(4) == 0 {
			continue
		}
		switch {
		case f.IsMap():
			entries := m.Mutable(f).Map()
			for range min(length(r), 20_000) {
				entries.Set(value(r, f.MapKey()).MapKey(), value(r, f.MapValue()))
			}
		case f.IsList():
			items, n := m.Mutable(f).List(), length(r)
			empty := r.IntN(2) == 0
			first := protoreflect.Value{}
			for k := range n {
				switch {
				case f.Message() != nil:
					item := items.NewElement()
					if !empty && depth > 0 && k < 100 {
						fill(r, item.Message(), depth-1)
					}
					items.Append(item)
				case empty && k > 0:
					items.Append(first) // The same again and again.
				default:
					first = value(r, f)
					items.Append(first)
				}
			}
		case f.Message() != nil:
			if depth > 0 {
				fill(r, m.Mutable(f).Message(), depth-1)
			}
		default:
			m.Set(f, value(r, f))
		}
	}
}

var edges = []uint64{0, 1, 2, 1000, math.MaxInt32, math.MaxUint32, 1 << 32, 1<<32 + 5, math.MaxInt64 / 1_000_000, math.MaxInt64, 1 << 63, math.MaxUint64}

// value is a value of a field's kind, often at the edge.
func value(r *rand.Rand, f protoreflect.FieldDescriptor) protoreflect.Value {
	edge := edges[r.IntN(len(edges))]
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(r.IntN(2) == 0)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(r.IntN(12) - 2))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(edge))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(edge))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(int64(edge))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(edge)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(math.Float32frombits(uint32(edge)))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64([]float64{0, 1, -1, math.NaN(), math.Inf(1), 1e300, 0.5}[r.IntN(7)])
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(binary.LittleEndian.AppendUint64(nil, edge))
	}
	texts := []string{"", "a", "job", "w", "default", strings.Repeat("a", 128), strings.Repeat("a/", 400), "\u0000", "ä", "t1", strconv.FormatUint(edge, 36), fmt.Sprint("x", r.IntN(1<<20))}
	return protoreflect.ValueOfString(texts[r.IntN(len(texts))])
}

// unimplementedWorker has the requests of WorkerService decoded, and answers none.
func unimplementedWorker(options ...connect.HandlerOption) (string, http.Handler) {
	return frayv1connect.NewWorkerServiceHandler(frayv1connect.UnimplementedWorkerServiceHandler{}, options...)
}

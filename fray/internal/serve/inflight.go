package serve

import (
	"cmp"
	"context"
	"io"
	"math"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/internal/dial"
	"github.com/frayrpc/fray/fray/internal/wire"
)

// Lane is who shares room for messages, so that one kind of caller leaves the others theirs.
type Lane int

// The lanes. What Config.Lanes does not name is in that of clients.
const (
	Clients Lane = iota
	Workers
	Operators
	lanes
)

var laneNames = [lanes]string{"clients", "workers", "operators"}

// laneShares are how many eighths of the room each lane has.
var laneShares = [lanes]int64{4, 3, 1}

const (
	// smallMessageBytes is what a message may have without being counted: what there may be of them
	// is bounded by the bounds on calls and connections.
	smallMessageBytes = 4 << 10
	// messageCopies is how often a message is there while it is read or written: as bytes, and decoded.
	messageCopies = 2
	// maxInflation is how much longer what gzip has packed can be.
	maxInflation = 1032
	// roomPatience is how long a message waits for room before it is refused, and roomHint when it may
	// come again.
	roomPatience = 5 * time.Second
	roomHint     = time.Second
	// bodyPatience is how long a body may take that has no bytes; each more second lets
	// dial.FloorRate of them pass, read or written.
	bodyPatience = 10 * time.Second
	// DefaultInFlightBytes is Config.InFlightBytes where nothing limits the memory of the process.
	DefaultInFlightBytes = 1 << 30
	// memoryShare is the part of a limited memory that messages in flight have by default.
	memoryShare = 4
	// LeastInFlightBytes is the least that there may be.
	LeastInFlightBytes = 8 << 20
)

// defaultInFlightBytes respects the limit that the Go runtime was given (GOMEMLIMIT).
func defaultInFlightBytes() int64 {
	limit := debug.SetMemoryLimit(-1)
	if limit == math.MaxInt64 {
		return DefaultInFlightBytes
	}
	return min(max(limit/memoryShare, LeastInFlightBytes), DefaultInFlightBytes)
}

// inFlight bounds the bytes of the messages that are read, handled and answered at a time. A message
// that finds no room waits a little, and is refused then.
type inFlight struct {
	lanes [lanes]lane
	of    map[string]Lane
	most  map[string]int // bytes of a request, by procedure; of others DefaultRequestBytes
}

type lane struct {
	room *semaphore.Weighted
	size int64
	used prometheus.Gauge
}

func newInFlight(cfg *Config) (*inFlight, error) {
	f := &inFlight{of: cfg.Lanes, most: make(map[string]int)}
	used := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "fray_rpc_in_flight_bytes",
		Help: "Room that messages have which are read, handled or answered, in bytes, by who sends them. Small ones are not counted.",
	}, []string{"lane"})
	if cfg.Registerer != nil {
		var err error
		if used, err = register(cfg.Registerer, used); err != nil {
			return nil, err
		}
	}
	for i := range f.lanes {
		size := cfg.InFlightBytes / 8 * laneShares[i]
		f.lanes[i] = lane{semaphore.NewWeighted(size), size, used.WithLabelValues(laneNames[i])}
	}
	for procedure, most := range cfg.RequestBytes {
		f.most[procedure] = int(min(int64(most), f.lanes[f.of[procedure]].size/messageCopies)) // It must find room.
	}
	return f, nil
}

// reservation is the room that one call has.
type reservation struct {
	lane *lane

	mu     sync.Mutex
	held   int64 // weight
	answer int64 // bytes of an answer that there is room for
	over   bool
}

// grow sees to it that the call has room for so many more bytes of messages. It waits for it.
func (r *reservation) grow(ctx context.Context, bytes int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.growLocked(ctx, bytes)
}

func (r *reservation) growLocked(ctx context.Context, bytes int64) error {
	if r.over {
		return errNoRoom()
	}
	// One call at a time fits, whatever it needs.
	weight := min(min(bytes, r.lane.size)*messageCopies, r.lane.size-r.held)
	if !r.lane.room.TryAcquire(weight) {
		patient, cancel := context.WithTimeout(ctx, roomPatience)
		defer cancel()
		if r.lane.room.Acquire(patient, weight) != nil {
			return errNoRoom()
		}
	}
	r.held += weight
	r.lane.used.Add(float64(weight))
	return nil
}

// answers sees to it that the call has room for an answer of so many bytes.
func (r *reservation) answers(ctx context.Context, bytes int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if bytes <= max(r.answer, smallMessageBytes) {
		return nil
	}
	if err := r.growLocked(ctx, bytes-r.answer); err != nil {
		return err
	}
	r.answer = bytes
	return nil
}

// release gives the room back. The call is over.
func (r *reservation) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	if r.held > 0 {
		r.lane.room.Release(r.held)
		r.lane.used.Sub(float64(r.held))
	}
}

func errNoRoom() error {
	return wire.Error(wire.ReasonTooMany, roomHint, "the server has no room for more messages at a time: try again later")
}

type reservationKey struct{}

// Reserve makes room for an answer of so many bytes, before a handler reads into memory what it
// answers. It waits a little if there is none, and returns RESOURCE_EXHAUSTED if there is none then.
// Where ctx is not that of a call to a Server, there is no bound.
func Reserve(ctx context.Context, bytes int) error {
	if r, ok := ctx.Value(reservationKey{}).(*reservation); ok {
		return r.answers(ctx, int64(bytes))
	}
	return nil
}

// reserveAnswers is an interceptor that makes room for answers of which nobody knew how long they are.
func reserveAnswers(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		res, err := next(ctx, req)
		if err != nil {
			return res, err
		}
		if m, ok := res.Any().(proto.Message); ok {
			if err := Reserve(ctx, proto.Size(m)); err != nil {
				return nil, err
			}
		}
		return res, nil
	}
}

// handler counts what next is sent.
func (f *inFlight) handler(next http.Handler) http.Handler {
	refusal := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r := &reservation{lane: &f.lanes[f.of[req.URL.Path]]}
		defer r.release()
		ctx := context.WithValue(req.Context(), reservationKey{}, r)
		controller := http.NewResponseController(w)
		body := &countedBody{
			ReadCloser: req.Body, ctx: ctx, reservation: r, control: controller,
			inflation: inflationOf(req.Header), most: int64(cmp.Or(f.most[req.URL.Path], DefaultRequestBytes)),
		}
		if body.inflation == 1 && req.ContentLength > smallMessageBytes {
			if err := body.grant(min(req.ContentLength, body.most)); err != nil {
				if refusal.IsSupported(req) {
					_ = refusal.Write(w, req, err) // The caller may be gone.
				} else {
					http.Error(w, err.Error(), http.StatusTooManyRequests)
				}
				return
			}
		}
		if req.ProtoMajor == 1 {
			_ = controller.SetWriteDeadline(time.Time{}) // That of the answer before.
		}
		req = req.WithContext(ctx)
		req.Body = body
		next.ServeHTTP(&timedWriter{ResponseWriter: w, control: controller}, req)
	})
}

// inflationOf says how much longer a body may be than what is read of it.
func inflationOf(h http.Header) int64 {
	for _, name := range []string{"Content-Encoding", "Connect-Content-Encoding", "Grpc-Encoding"} {
		if encoding := h.Get(name); encoding != "" && encoding != "identity" {
			return maxInflation
		}
	}
	return 1
}

// countedBody is a request's body that makes room for what is read of it, and does not wait for
// senders that are slower than any line.
type countedBody struct {
	io.ReadCloser

	ctx         context.Context //nolint:containedctx // That of the call.
	reservation *reservation
	control     *http.ResponseController
	inflation   int64
	most        int64 // that it may come to, in bytes

	read, granted int64         // bytes
	waited        time.Duration // for bytes
	timer         *time.Timer   // nil: nothing was waited for
}

// Read implements io.Reader.
func (b *countedBody) Read(p []byte) (int, error) {
	left := bodyPatience + time.Duration(min(b.read, b.most)/dial.FloorRate)*time.Second - b.waited // within: requests are bounded
	if b.timer == nil {
		b.timer = time.AfterFunc(left, b.giveUp)
	} else {
		b.timer.Reset(left)
	}
	begun := time.Now()
	n, err := b.ReadCloser.Read(p)
	b.waited += time.Since(begun)
	b.timer.Stop()
	b.read += int64(n)
	if err != nil {
		return n, err
	}
	if need := min(b.read*b.inflation, b.most); need > smallMessageBytes && need > b.granted {
		// Twice what there is, so that a long body asks a few times only.
		return n, b.grant(min(2*need, b.most))
	}
	return n, nil
}

// giveUp ends a read. There is nothing to end where there are no deadlines.
func (b *countedBody) giveUp() { _ = b.control.SetReadDeadline(time.Unix(1, 0)) }

func (b *countedBody) grant(bytes int64) error {
	if err := b.reservation.grow(b.ctx, bytes-b.granted); err != nil {
		return err
	}
	b.granted = bytes
	return nil
}

// timedWriter does not wait for readers that are slower than any line.
type timedWriter struct {
	http.ResponseWriter

	control *http.ResponseController
}

// Unwrap is for http.ResponseController.
func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush implements http.Flusher. What comes next on a stream may be long in coming.
func (w *timedWriter) Flush() {
	_ = w.control.Flush()
	_ = w.control.SetWriteDeadline(time.Time{})
}

// Write implements io.Writer.
func (w *timedWriter) Write(p []byte) (int, error) {
	_ = w.control.SetWriteDeadline(time.Now().Add(bodyPatience + time.Duration(len(p)/dial.FloorRate)*time.Second)) // within: answers are bounded
	return w.ResponseWriter.Write(p)
}

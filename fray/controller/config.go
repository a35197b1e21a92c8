package controller

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/fray/clock"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/corewire"
	"github.com/frayrpc/fray/fray/internal/serve"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/internal/limit"
)

// Config is what a controller needs. The zero value of each field but Store is its default.
type Config struct {
	// Required. The controller does not close it.
	Store store.Store
	// Bounds and times of the scheduler. A durable Store counts incarnations itself, and says what
	// is Durable; otherwise an Incarnation of 0 is drawn from the clock.
	Core core.Config
	// The longest that a long poll is held. Default 30 s.
	MaxWait time.Duration
	// Encoded bytes of a payload or result at most, up to 64 MiB. Default 16 MiB.
	MaxPayloadBytes int
	// Calls that may wait at once: as many of clients for ends of tasks, of workers for something to
	// do, and of all others; of one caller, and of all an eighth more. Beyond, they are refused. Default 100,000.
	MaxCalls int
	// Memory that the process may use, in bytes: near it, submissions are refused until there is room,
	// and Core.MaxRetained and Core.MaxFleetBytes follow it by default. Negative: without end. Default:
	// the Go runtime's limit (GOMEMLIMIT).
	MemoryLimit int64
	// Bytes of messages that are read, handled and answered at a time, each counted twice, where the
	// controller listens. Default: a quarter of the memory that there may be, and 1 GiB at most.
	InFlightBytes int64
	// Where CreateBackup puts copies of the store. Empty: nowhere.
	BackupDir string
	// Where it draws the key of its tokens from, which nobody must be able to guess. Default: package
	// crypto/rand.
	Keys io.Reader
	// Its clocks. Nothing waits by the wall's; see package clock. Default: the system's.
	Clock clock.Clock
	// What GetClusterInfo says. Default "dev".
	Version string
	// Default: nothing is logged.
	Logger *slog.Logger
	// Told every so many steps, and before Run ends, what of the scheduler's state does not add up; the
	// cost is a few times that of the steps. For tests and simulations. Nil: nobody looks.
	Inspect func(broken error)
	// Where metrics are registered. Nil: nowhere.
	Registerer prometheus.Registerer

	// Where to listen, such as "127.0.0.1:7070"; port 0 picks a free one. Empty, without Listener:
	// nowhere, and Handler is all there is.
	ListenAddress string
	// Where to listen in place of ListenAddress. Run closes it.
	Listener net.Listener
	// What it shows and asks for there. Without a certificate it speaks no TLS.
	TLS certs.Files
	// Serves HTTP/3 there, too, at the UDP port of the same number, if it is h3.Serve of package
	// fray/h3; needs TLS. Nil: it is not served.
	HTTP3 serve.HTTP3
	// Wraps what is served there: see serve.Config.
	HandlerOptions []connect.HandlerOption
	Middleware     []func(http.Handler) http.Handler
	// The dashboard's names: see serve.Config. It is there without any, at the controller's address.
	Names []string
	// What /metrics shows. Nil: there is no /metrics.
	Gatherer prometheus.Gatherer
	// Where /metrics is, without a credential and without TLS, rather than there; see serve.Config.
	MetricsAddress string
	// Who may do what there, asked with each call, so that it may change; see package access. Jobs
	// belong to callers then. Who serves Handler puts an access.Guard before it. Nil: all may do
	// everything, and jobs are everybody's.
	Access func() *access.Policy
	// Told of every call that changes something, and of every one that is refused to its caller; see
	// access.Audit. Nil: nobody is.
	Audit *slog.Logger
}

// Validate reports all that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	if c.Store == nil {
		errs = append(errs, errors.New("controller: Store is required"))
	}
	for name, d := range map[string]time.Duration{
		"MaxWait": c.MaxWait, "Core.SessionTTL": c.Core.SessionTTL, "Core.DeliveryTimeout": c.Core.DeliveryTimeout,
		"Core.StallTolerance": c.Core.StallTolerance, "Core.Tick": c.Core.Tick, "Core.WatchGrace": c.Core.WatchGrace,
		"Core.TimeoutGrace": c.Core.TimeoutGrace, "Core.CancelGrace": c.Core.CancelGrace, "Core.Retention": c.Core.Retention,
		"Core.ObjectGrace": c.Core.ObjectGrace, "Core.UploadGrace": c.Core.UploadGrace,
		"Core.RetryHint": c.Core.RetryHint, "Core.BlackHoleBackoff": c.Core.BlackHoleBackoff, "Core.BlackHoleCap": c.Core.BlackHoleCap,
	} { // order-free: all are reported
		if d < 0 {
			errs = append(errs, fmt.Errorf("controller: %s must not be negative, is %v", name, d))
		}
	}
	if c.InFlightBytes != 0 && c.InFlightBytes < serve.LeastInFlightBytes {
		errs = append(errs, fmt.Errorf("controller: InFlightBytes must be 0 (for the default) or at least %d, is %d", serve.LeastInFlightBytes, c.InFlightBytes))
	}
	if c.MaxPayloadBytes < 0 || c.MaxPayloadBytes > maxPayload {
		errs = append(errs, fmt.Errorf("controller: MaxPayloadBytes must be from 0 (for the default) to %d, is %d", maxPayload, c.MaxPayloadBytes))
	}
	for name, n := range map[string]int64{
		"MaxCalls": int64(c.MaxCalls), "Core.MaxOpenTasks": int64(c.Core.MaxOpenTasks), "Core.MaxQueuedBytes": c.Core.MaxQueuedBytes,
		"Core.MaxRetained": int64(c.Core.MaxRetained), "Core.MaxRetainedBytes": c.Core.MaxRetainedBytes, "Core.MaxClasses": int64(c.Core.MaxClasses),
		"Core.MaxJobs": int64(c.Core.MaxJobs), "Core.MaxSessions": int64(c.Core.MaxSessions), "Core.MaxWatchers": int64(c.Core.MaxWatchers),
		"Core.MaxObjectBytes": c.Core.MaxObjectBytes, "Core.ObjectOverhead": c.Core.ObjectOverhead,
		"Core.MaxUnknown": int64(c.Core.MaxUnknown), "Core.MaxFleetBytes": c.Core.MaxFleetBytes,
	} { // order-free: all are reported
		if n < 0 {
			errs = append(errs, fmt.Errorf("controller: %s must not be negative, is %d", name, n))
		}
	}
	if err := c.TLS.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("controller: TLS: %w", err))
	}
	if c.HTTP3 != nil && c.TLS.Cert == "" {
		errs = append(errs, errors.New("controller: HTTP3 is spoken over TLS only: set TLS.Cert and TLS.Key"))
	}
	if c.ListenAddress == "" && c.Listener == nil {
		if c.Access != nil {
			errs = append(errs, errors.New("controller: Access guards where it listens, and it listens nowhere: set ListenAddress, or put an access.Guard before Handler"))
		}
		if c.MetricsAddress != "" {
			errs = append(errs, errors.New("controller: MetricsAddress needs a ListenAddress or a Listener"))
		}
	}
	return errors.Join(errs...)
}

const (
	maxPayload = limit.Payload
	// Bytes of a request at most: a batch may carry several payloads.
	maxRequest = 2 * maxPayload
	// A session's heartbeats per TTL: two may be lost.
	heartbeatsPerTTL = 3
	// What a response that carries results weighs at most, in bytes; a larger single value is left
	// for GetTaskResult.
	maxResultBytes = 4 << 20
	// The step takes this many events at most, so that a flood of calls does not hold replies back.
	maxBatch = 4096
	// What is used step after step keeps room for this many elements, which is what ordinary steps
	// need.
	maxKept = 4096
	// While steps are committed this many more are decided, which are then committed together.
	stepsInFlight = 32
	// A step that has this many bytes of specs and results takes no further event, and a commit
	// that has as many of records no further step. So a commit has at most twice that, and a
	// request.
	maxCommitBytes = 16 << 20
	// With Inspect the state is looked at after so many steps, or as many as there are tasks by this
	// share, if that is more.
	inspectSteps = 16
	inspectShare = 4
	// Ended tasks that are kept by default. Of memory that is bounded each has so many bytes of it, for
	// tasks and functions with long names: what is kept must not keep new ones out.
	minRetained   = 1000
	retainedShare = 8 << 10
	// Likewise what workers say of themselves, in bytes, which take about twice as many.
	minFleet   = 1 << 20
	fleetShare = 16
	// How often a controller with deadlines looks at its clock, to notice that it was stopped.
	defaultTick = time.Second
	// The loop sleeps for so long at least, whatever the scheduler asks for, and for so long at
	// most.
	leastSleep = time.Millisecond
	mostSleep  = time.Hour
)

func (c Config) withDefaults() Config {
	c.Core.SessionTTL = cmp.Or(c.Core.SessionTTL, 15*time.Second)
	c.Core.Tick = cmp.Or(c.Core.Tick, defaultTick)
	c.MaxWait = cmp.Or(c.MaxWait, 30*time.Second)
	if c.Core.Cause == nil {
		c.Core.Cause = causeResult
		c.Core.Death = deathResult
		c.Core.Following, c.Core.Run = new(corewire.Timetables).Following, corewire.Run
	}
	c.MaxPayloadBytes = cmp.Or(c.MaxPayloadBytes, 16<<20)
	c.MaxCalls = cmp.Or(c.MaxCalls, 100_000)
	c.MemoryLimit = cmp.Or(c.MemoryLimit, debug.SetMemoryLimit(-1))
	if c.MemoryLimit > 0 {
		c.Core.MaxRetained = cmp.Or(c.Core.MaxRetained, int(min(core.DefaultMaxRetained, max(c.MemoryLimit/retainedShare, minRetained))))
		c.Core.MaxFleetBytes = cmp.Or(c.Core.MaxFleetBytes, min(core.DefaultMaxFleetBytes, max(c.MemoryLimit/fleetShare, minFleet)))
	}
	c.Keys = cmp.Or(c.Keys, rand.Reader)
	c.Version = cmp.Or(c.Version, "dev")
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	return c
}

package worker

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"slices"
	"time"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/fray/clock"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/endpoint"
	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/outgoing"
)

// Defaults of a Config.
const (
	DefaultDrainGrace  = 30 * time.Second
	DefaultStopGrace   = 5 * time.Second
	DefaultMaxPrefetch = 4096
	// DefaultMaxUnreported is in bytes.
	DefaultMaxUnreported = 32 << 20
	// DefaultObjectCache is in bytes.
	DefaultObjectCache = 64 << 20
	DefaultJobLeaseTTL = time.Minute
)

// minJobLeaseTTL bounds how often a worker asks whether its job is watched.
const minJobLeaseTTL = 100 * time.Millisecond

// With Inspect the account is looked at after so many changes, or as many as there are attempts by
// this share, if that is more.
const (
	inspectChanges = 16
	inspectShare   = 4
)

// maxMaxPrefetch keeps what a heartbeat lists within the wire's bounds.
const maxMaxPrefetch = 32768

// Config says what a Worker is and what it can do. ControllerURL, ID and Functions have no
// defaults.
type Config struct {
	// ControllerURL is the controller's base URL, such as "http://10.0.0.5:7070", or "host:port",
	// which means http.
	ControllerURL string
	// Token is the secret that the controller was started with, which every call shows. Empty: the
	// value of FRAY_TOKEN in the environment, or the first token of the file that FRAY_TOKEN_FILE names;
	// if there is none, none is shown.
	Token string
	// ID names the worker in the cluster. It should be the same after a restart: a new session
	// takes the place of the old one's at once then, where it would have to expire first.
	ID string
	// Functions are what the worker executes, with a name each of its own.
	Functions []fray.Function
	// Slots is how many attempts run at once. 0: GOMAXPROCS.
	Slots int
	// Resources are what attempts that ask for some share, such as {"cpu": 8000, "gpu": 1}; cpu is
	// in milli-units.
	Resources map[string]int64
	// Labels are what tasks can require of the worker that runs them.
	Labels map[string]string
	// MaxPrefetch is the most attempts that wait here for a slot, so that short tasks follow upon
	// each other without a round trip between. How many do wait depends on how long tasks take. 0:
	// DefaultMaxPrefetch; negative: none.
	MaxPrefetch int
	// MaxUnreported is how many bytes of reports may wait for the controller's verdict, beside those
	// of what runs: where results are made faster than they travel, nothing more is started until
	// some are through. 0: DefaultMaxUnreported.
	MaxUnreported int
	// ObjectCache is how many bytes of the objects that its tasks have read the worker keeps, so that
	// they need not be fetched again. 0: DefaultObjectCache; negative: none.
	ObjectCache int64

	// StopGrace is how long a stopped attempt may take to return before it is abandoned. 0:
	// DefaultStopGrace.
	StopGrace time.Duration
	// DrainGrace is how long running attempts may go on once Run's context is done. 0:
	// DefaultDrainGrace; negative: none.
	DrainGrace time.Duration

	// JobLease is the job that the worker is there for: once no client watches it any longer, the
	// worker drains and leaves, and Run returns [ErrJobUnwatched]. The worker is granted tasks of
	// other jobs as well. Empty: it is there for all.
	JobLease string
	// JobLeaseTTL is for how long the controller must have said so, being asked three times in it. A
	// controller that cannot be reached says nothing: the worker waits for it ten times as long. It
	// must leave clients the time to come back to a controller that restarts, which takes them up to
	// half a minute; 100 ms at least. 0: DefaultJobLeaseTTL.
	JobLeaseTTL time.Duration

	// TLS says whom the worker trusts as a client of a controller with an https URL, and which
	// certificate it shows there and where it listens itself, if it has one. The zero value: to call the
	// controller, what FRAY_CA, FRAY_TLS_CERT, FRAY_TLS_KEY and FRAY_TLS_MIN_VERSION in the environment say.
	TLS certs.Files
	// HTTP3 has the worker, and the tasks that it runs, call the controller by HTTP/3, if it is h3.Dial
	// of package fray/h3; the controller must serve it, and have an https URL. Where the worker listens
	// itself is not concerned. It excludes HTTPClient. Nil: calls go over TCP.
	HTTP3 func(certs.Files, *slog.Logger) (http.RoundTripper, error)
	// HTTPClient carries the calls to the controller; it stays the caller's. It should have no
	// timeout of its own, because some calls wait. Nil: a client with connections of its own.
	HTTPClient connect.HTTPClient
	// ClientOptions are for the calls to the controller, those of tasks included.
	ClientOptions []connect.ClientOption

	// ListenAddress is where the worker tells about itself: WorkerService, gRPC health and
	// reflection, /metrics. Port 0 picks a free one. Empty, without Listener: nowhere.
	ListenAddress string
	// Listener is where to listen in place of ListenAddress. Run closes it.
	Listener net.Listener
	// AdvertiseURL is where others reach that. Empty: as the listener has it.
	AdvertiseURL string
	// HandlerOptions and Middleware wrap it, see serve.Config.
	HandlerOptions []connect.HandlerOption
	Middleware     []func(http.Handler) http.Handler

	// Inspect is told every so often what of the worker's account of its attempts does not add up; the
	// cost is a few times that of keeping it. It must not call the worker. For tests and simulations.
	// Nil: nobody looks.
	Inspect func(broken error)
	// Registerer takes the worker's metrics. Two workers need two, such as one wrapped with a label
	// for each. Nil: there are none.
	Registerer prometheus.Registerer
	// Gatherer is what /metrics shows. Nil: there is no /metrics.
	Gatherer prometheus.Gatherer
	// MetricsAddress is where /metrics is, without a credential and without TLS, rather than there;
	// see serve.Config.
	MetricsAddress string
	// Access is who may do what where the worker listens, asked with each call, so that it may change;
	// see package access. Nil: all may do everything.
	Access func() *access.Policy
	// Logger is told what happens to the worker, not to each task. Nil: nobody is.
	Logger *slog.Logger
	// Rand is the source of ids and of jitter, which nothing else may use from then on. Nil: one
	// that is seeded by chance.
	Rand *rand.Rand
	// Clock is the worker's clocks; see package clock. Default: the system's.
	Clock clock.Clock
	// Linger is how long a loop that has something to send waits before it writes the call, so that
	// things which happen at the same instant go together whatever order goroutines run in; some
	// loops wait a few times as long. A simulator in virtual time needs a little of it, to repeat
	// itself. A worker whose reports are not waited for one by one saves calls by a millisecond of
	// it. 0: nothing waits.
	Linger time.Duration
}

// Validate returns what is wrong with c, all of it.
func (c *Config) Validate() error {
	var errs []error
	if _, err := endpoint.Parse(c.ControllerURL); err != nil {
		errs = append(errs, err)
	}
	if err := outgoing.CheckToken(c.Token); err != nil {
		errs = append(errs, err)
	}
	seen := make(map[string]bool)
	for _, f := range c.Functions {
		if seen[f.Name()] {
			errs = append(errs, fmt.Errorf("two functions are named %q", f.Name()))
		}
		seen[f.Name()] = true
	}
	if c.ListenAddress == "" && c.Listener == nil && (c.MetricsAddress != "" || c.Access != nil) {
		errs = append(errs, errors.New("MetricsAddress and Access are about where the worker listens, and it listens nowhere"))
	}
	if c.MaxPrefetch > maxMaxPrefetch {
		errs = append(errs, fmt.Errorf("prefetch of %d is more than %d", c.MaxPrefetch, maxMaxPrefetch))
	}
	if c.MaxUnreported < 0 {
		errs = append(errs, fmt.Errorf("MaxUnreported must not be negative, is %d", c.MaxUnreported))
	}
	switch {
	case c.JobLease == "" && c.JobLeaseTTL != 0:
		errs = append(errs, errors.New("JobLeaseTTL is given, and no JobLease that it is of"))
	case c.JobLease != "":
		if err := wire.CheckID("JobLease", c.JobLease); err != nil {
			errs = append(errs, err)
		}
		if c.JobLeaseTTL != 0 && c.JobLeaseTTL < minJobLeaseTTL {
			errs = append(errs, fmt.Errorf("JobLeaseTTL must be %v at least, is %v", minJobLeaseTTL, c.JobLeaseTTL))
		}
	}
	if c.StopGrace < 0 || c.Linger < 0 {
		errs = append(errs, errors.New("neither StopGrace nor Linger can be negative"))
	}
	// The rest is what the controller will check, by the same rules.
	filled := c.withDefaults()
	request := filled.registration()
	request.RegistrationId = "validate"
	if err := protovalidate.Validate(request); err != nil {
		errs = append(errs, fmt.Errorf("registration as worker: %w", err))
	}
	return errors.Join(errs...)
}

// withDefaults returns a copy of c with its defaults filled in.
func (c *Config) withDefaults() Config {
	d := *c
	if address, err := endpoint.Parse(c.ControllerURL); err == nil {
		d.ControllerURL = address
	}
	d.Slots = cmp.Or(d.Slots, runtime.GOMAXPROCS(0))
	d.MaxPrefetch = cmp.Or(d.MaxPrefetch, DefaultMaxPrefetch)
	d.MaxUnreported = cmp.Or(d.MaxUnreported, DefaultMaxUnreported)
	d.ObjectCache = cmp.Or(d.ObjectCache, DefaultObjectCache)
	d.StopGrace = cmp.Or(d.StopGrace, DefaultStopGrace)
	d.DrainGrace = cmp.Or(d.DrainGrace, DefaultDrainGrace)
	if d.JobLease != "" {
		d.JobLeaseTTL = cmp.Or(d.JobLeaseTTL, DefaultJobLeaseTTL)
	}
	d.Logger = cmp.Or(d.Logger, slog.New(slog.DiscardHandler))
	d.Functions = slices.Clone(d.Functions)
	d.Resources = maps.Clone(d.Resources)
	d.Labels = maps.Clone(d.Labels)
	return d
}

// registration returns what the worker says of itself when it registers.
func (c *Config) registration() *frayv1.RegisterWorkerRequest {
	r := &frayv1.RegisterWorkerRequest{
		WorkerId:     c.ID,
		AdvertiseUrl: c.AdvertiseURL,
		Slots:        number.Clamp[uint32](c.Slots), // Validate bounds it further.
		Resources:    c.Resources,
		Labels:       c.Labels,
	}
	for _, f := range c.Functions {
		r.Functions = append(r.Functions, f.Name())
	}
	return r
}

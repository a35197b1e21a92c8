package fray

import (
	"cmp"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/fray/internal/dial"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// Option configures a job context.
type Option interface {
	applyToJob(*jobConfig)
}

type jobConfig struct {
	address       string
	token         *string // nil: the environment's
	httpClient    connect.HTTPClient
	tls           *certs.Files // nil: the environment's
	http3         func(certs.Files, *slog.Logger) (http.RoundTripper, error)
	clientOptions []connect.ClientOption
	workers       int
	jobID         string
	rand          *rand.Rand
	logger        *slog.Logger
	maxPayload    int
	maxObjects    int64
	objectCache   int64
	ray           rayConfig
	job           jobOptions
}

// newJobConfig returns the config that options make of the defaults.
func newJobConfig(opts []Option) jobConfig {
	c := jobConfig{
		workers: runtime.GOMAXPROCS(0), logger: slog.Default(), maxPayload: DefaultMaxPayloadBytes,
		maxObjects: DefaultMaxObjectBytes,
		job:        jobOptions{wire: &frayv1.JobOptions{}},
		ray:        rayConfig{token: environment(rayTokenVariable)},
	}
	for _, opt := range opts {
		opt.applyToJob(&c)
	}
	c.logger = cmp.Or(c.logger, slog.New(slog.DiscardHandler))
	return c
}

// target is a controller as the options have it reached.
func (c *jobConfig) target(url string) dial.Target {
	t := dial.Target{URL: url, EnvironmentToken: c.token == nil, Via: c.httpClient, EnvironmentTLS: c.tls == nil, HTTP3: c.http3, Log: c.logger}
	if c.token != nil {
		t.Token = *c.token
	}
	if c.tls != nil {
		t.TLS = *c.tls
	}
	return t
}

type rayConfig struct {
	address string
	token   string
	workers RayWorkers
	// poll is how often a job is looked at that runs, pause the first one before a job is submitted anew. 0:
	// rayPoll, rayPause.
	poll, pause time.Duration
}

type jobOption func(*jobConfig)

func (o jobOption) applyToJob(c *jobConfig) { o(c) }

// WithControllerAddress names the controller that the fray and ray backends submit to: a URL such as
// "http://10.0.0.5:7070", or "host:port", which means http.
func WithControllerAddress(address string) Option {
	return jobOption(func(c *jobConfig) { c.address = address })
}

// WithToken has every call show the secret that the cluster's controller was started with; "" shows
// none. The default is the value of FRAY_TOKEN in the environment, or the first token of the file that
// FRAY_TOKEN_FILE names, which is read again when it changes.
func WithToken(token string) Option {
	return jobOption(func(c *jobConfig) { c.token = &token })
}

// WithTLS says whom the fray backend trusts that has an https URL, and which certificate it shows to
// those who ask. Files that change are read again. It has no effect with [WithHTTPClient]. The default
// are the files that FRAY_CA, FRAY_TLS_CERT and FRAY_TLS_KEY in the environment name, with the least version in
// FRAY_TLS_MIN_VERSION, as for the command fray; without them the authorities of the machine are trusted.
func WithTLS(files certs.Files) Option {
	return jobOption(func(c *jobConfig) { c.tls = &files })
}

// WithHTTP3 has the fray backend call by HTTP/3: dial is h3.Dial of package fray/h3, and makes its
// connections of what [WithTLS] says. The controller must serve it, and have an https URL; there is
// no falling back to TCP. It excludes [WithHTTPClient]. Nil: calls go over TCP, as by default.
func WithHTTP3(dial func(certs.Files, *slog.Logger) (http.RoundTripper, error)) Option {
	return jobOption(func(c *jobConfig) { c.http3 = dial })
}

// WithHTTPClient makes the fray backend use client, which stays its caller's: Close does not close
// its connections. The client should have no timeout of its own, because some calls wait for the
// controller.
func WithHTTPClient(client connect.HTTPClient) Option {
	return jobOption(func(c *jobConfig) { c.httpClient = client })
}

// WithClientOptions gives options to the Connect client of the fray backend, such as interceptors
// or connect.WithGRPC. Repeated use adds to the list.
func WithClientOptions(opts ...connect.ClientOption) Option {
	return jobOption(func(c *jobConfig) { c.clientOptions = append(c.clientOptions, opts...) })
}

// WithRayAddress names the Ray cluster that the ray backend runs workers on, by the URL of its
// dashboard, such as "http://head:8265". Those with https are trusted by the machine's authorities.
func WithRayAddress(url string) Option {
	return jobOption(func(c *jobConfig) { c.ray.address = url })
}

// WithRayWorkers says which workers the ray backend runs.
func WithRayWorkers(w RayWorkers) Option {
	return jobOption(func(c *jobConfig) { c.ray.workers = w })
}

// WithRayToken has the ray backend show a secret to a Ray cluster that was started with
// RAY_AUTH_MODE=token; "" shows none. The default is the value of RAY_AUTH_TOKEN in the environment.
// It is not that of the controller, which is [WithToken].
func WithRayToken(token string) Option {
	return jobOption(func(c *jobConfig) { c.ray.token = token })
}

// WithWorkers sets how many tasks the threadpool backend runs at once. The default is GOMAXPROCS.
func WithWorkers(n int) Option {
	return jobOption(func(c *jobConfig) { c.workers = n })
}

// WithJobID names the job that all tasks of the job context belong to. The default is a new ULID.
// Job contexts that share a job are told of each other's tasks, which costs them some work and
// nothing else.
func WithJobID(id string) Option {
	return jobOption(func(c *jobConfig) { c.jobID = id })
}

// WithRand sets the source of ids and of jitter, which nothing else may use from then on. The
// default is seeded by chance.
func WithRand(r *rand.Rand) Option {
	return jobOption(func(c *jobConfig) { c.rand = r })
}

// DefaultMaxPayloadBytes is the largest encoded input or result that the sync and threadpool
// backends take, as a controller does that was started with its defaults.
const DefaultMaxPayloadBytes = 16 << 20

// WithMaxPayloadBytes sets the largest encoded input or result that the sync and threadpool
// backends take, from 1 byte to 64 MiB. At a controller its own --max-payload-bytes decides. The
// default is DefaultMaxPayloadBytes.
func WithMaxPayloadBytes(n int) Option {
	return jobOption(func(c *jobConfig) { c.maxPayload = n })
}

// DefaultMaxObjectBytes is how many bytes of objects the sync and threadpool backends keep.
const DefaultMaxObjectBytes = 1 << 30

// WithMaxObjectBytes sets how many bytes of objects, which [Put] makes, the sync and threadpool backends
// keep in memory, from 1 byte. At a controller its own --max-object-bytes decides. The default is
// DefaultMaxObjectBytes.
func WithMaxObjectBytes(n int64) Option {
	return jobOption(func(c *jobConfig) { c.maxObjects = n })
}

// WithObjectCache has the fray backend keep so many bytes of the objects that it has read, so that they
// need not be fetched again. The default is 0, and a worker's 64 MiB.
func WithObjectCache(bytes int64) Option {
	return jobOption(func(c *jobConfig) { c.objectCache = bytes })
}

// WithLogger sets where the job context tells of trouble that it rides out by itself, such as a
// controller that does not answer, and of tasks that no worker can run. It says so once, and now
// and then while it lasts. The default is slog.Default(); nil is nowhere.
func WithLogger(logger *slog.Logger) Option {
	return jobOption(func(c *jobConfig) { c.logger = logger })
}

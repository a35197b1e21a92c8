package fray

import (
	"log/slog"
	"math/rand/v2"

	"connectrpc.com/connect"
)

// Option configures a job context.
type Option interface {
	applyToJob(*jobConfig)
}

type jobConfig struct {
	address       string
	httpClient    connect.HTTPClient
	clientOptions []connect.ClientOption
	workers       int
	jobID         string
	rand          *rand.Rand
	logger        *slog.Logger
}

type jobOption func(*jobConfig)

func (o jobOption) applyToJob(c *jobConfig) { o(c) }

// WithControllerAddress names the controller that the fray backend submits to: a URL such as
// "http://10.0.0.5:7070", or "host:port", which means http.
func WithControllerAddress(address string) Option {
	return jobOption(func(c *jobConfig) { c.address = address })
}

// WithHTTPClient makes the fray backend use client, which stays its caller's: Close does not close its
// connections. The client should have no timeout of its own, because some calls wait for the controller.
func WithHTTPClient(client connect.HTTPClient) Option {
	return jobOption(func(c *jobConfig) { c.httpClient = client })
}

// WithClientOptions gives options to the Connect client of the fray backend, such as interceptors or
// connect.WithGRPC. Repeated use adds to the list.
func WithClientOptions(opts ...connect.ClientOption) Option {
	return jobOption(func(c *jobConfig) { c.clientOptions = append(c.clientOptions, opts...) })
}

// WithWorkers sets how many tasks the threadpool backend runs at once. The default is GOMAXPROCS.
func WithWorkers(n int) Option {
	return jobOption(func(c *jobConfig) { c.workers = n })
}

// WithJobID names the job that all tasks of the job context belong to. The default is a new ULID. Job contexts that
// share a job are told of each other's tasks, which costs them some work and nothing else.
func WithJobID(id string) Option {
	return jobOption(func(c *jobConfig) { c.jobID = id })
}

// WithRand sets the source of ids and of jitter, which nothing else may use from then on. The default is seeded by
// chance.
func WithRand(r *rand.Rand) Option {
	return jobOption(func(c *jobConfig) { c.rand = r })
}

// WithLogger sets where the job context tells of trouble that it rides out by itself. The default is nowhere.
func WithLogger(logger *slog.Logger) Option {
	return jobOption(func(c *jobConfig) { c.logger = logger })
}

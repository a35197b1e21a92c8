package command

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker"
	"github.com/frayrpc/fray/internal/limit"
)

// Worker has the options of a worker, whatever it executes.
type Worker struct {
	Open bool // to everybody
	Log  Log

	id         string
	slots      int
	resources  map[string]int64
	labels     map[string]string
	listen     string
	advertise  string
	drainGrace time.Duration
	stopGrace  time.Duration
	jobLease   string
	leaseTTL   time.Duration
	accessFile string
	metrics    string // where to listen for these
	profiles   string // as well
	faults     Faults
}

// AddWorkerFlags declares the options of a worker. The usage is of the one that opens it to everybody.
func (p *Process) AddWorkerFlags(flags *pflag.FlagSet, o *Worker, open string) {
	p.AddAddressFlag(flags)
	p.AddTLSFlags(flags, AsClient|AsServer)
	flags.StringVar(&o.id, "id", "", "`name` of the worker in the cluster (default: host name and a random suffix)")
	Between(flags, &o.slots, 0, limit.Slots, "slots", 0, "how many tasks run at once; 0: one for each CPU")
	Resources(flags, &o.resources, "what tasks can ask for a share of")
	Labels(flags, &o.labels, "what tasks can require of their worker")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:0", "`address` for health, metrics and tasks of this worker; empty: none")
	MayBeEmpty(flags, "listen")
	flags.StringVar(&o.advertise, "advertise-url", "", "where others reach that `URL` (default: where it listens)")
	Duration(flags, &o.drainGrace, "drain-grace", worker.DefaultDrainGrace, "how long running tasks may go on after SIGTERM")
	Duration(flags, &o.stopGrace, "stop-grace", worker.DefaultStopGrace, "how long a stopped task may take to end")
	flags.StringVar(&o.jobLease, "job-lease", "", "leave once no client watches this `job`")
	Duration(flags, &o.leaseTTL, "job-lease-ttl", worker.DefaultJobLeaseTTL, "how long none must have watched it")
	Shared(flags, "job-lease", "job-lease-ttl")
	AddOpenFlag(flags, &o.Open, open)
	AddAccessFlag(flags, &o.accessFile)
	AddMetricsFlag(flags, &o.metrics)
	AddProfileFlag(flags, &o.profiles)
	o.faults.AddFlags(flags)
	o.Log.AddFlags(flags, "info")
}

// CheckWorker refuses a worker that would let everybody make it misbehave. It reports whether callers
// can at all.
func (p *Process) CheckWorker(o *Worker) (faultsServed bool, err error) {
	p.Listed = o.accessFile != ""
	return p.CheckFaults(o.faults, o.Open, o.listen != "")
}

// NewWorker returns a worker of some functions, as the options say, and what is to be called when it
// has ended. Nothing is left of the token in the environment after that. The linger is that of
// worker.Config.
func (p *Process) NewWorker(ctx context.Context, o *Worker, functions []fray.Function, linger time.Duration) (_ *worker.Worker, end func() error, err error) {
	var ends []func() error
	endAll := func() (err error) {
		for _, end := range slices.Backward(ends) {
			err = errors.Join(err, end())
		}
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, endAll())
		}
	}()
	address, err := p.ControllerURL()
	if err != nil {
		return nil, nil, err
	}
	secure, err := p.TLSFiles()
	if err != nil {
		return nil, nil, err
	}
	served, err := p.CheckWorker(o)
	if err != nil {
		return nil, nil, err
	}
	id := cmp.Or(o.id, WorkerName())
	if err := HideToken(); err != nil {
		return nil, nil, err
	}
	registry := NewRegistry()
	noFaults, err := p.InjectFaults(o.faults, id, FaultsCalled, served, registry)
	if err != nil {
		return nil, nil, err
	}
	ends = append(ends, func() error { noFaults(); return nil })
	logger := o.Log.Logger(p.Stderr)
	endProfiles, err := ServeProfiles(ctx, o.profiles, logger)
	if err != nil {
		return nil, nil, err
	}
	ends = append(ends, endProfiles)
	policy, err := p.Policy(logger, o.accessFile)
	if err != nil {
		return nil, nil, err
	}
	if o.listen == "" && o.accessFile == "" {
		policy = nil // There is nothing to let anybody in to.
	}
	http3 := p.Dialer()
	if p.Seams.HTTPClient != nil {
		http3 = nil // That client speaks it.
	}
	if o.jobLease == "" {
		o.leaseTTL = 0
	}
	w, err := worker.New(worker.Config{
		ControllerURL: address, ID: id, Functions: functions,
		Slots: cmp.Or(o.slots, runtime.NumCPU()), Resources: o.resources, Labels: o.labels,
		ListenAddress: o.listen, AdvertiseURL: o.advertise,
		Access: policy, MetricsAddress: o.metrics,
		JobLease: o.jobLease, JobLeaseTTL: o.leaseTTL,
		TLS:        secure,
		DrainGrace: OrNone(o.drainGrace), StopGrace: max(o.stopGrace, time.Millisecond),
		HTTP3: http3, HTTPClient: p.Seams.HTTPClient, ClientOptions: p.Seams.ClientOptions,
		HandlerOptions: p.Seams.HandlerOptions, Middleware: p.Seams.Middleware, Linger: linger,
		Registerer: registry, Gatherer: registry, Logger: logger,
	})
	if err != nil {
		return nil, nil, UsageError("%w", err)
	}
	return w, endAll, nil
}

// RunWorker runs a worker until ctx is done, and no longer than it takes to stop once the user is in a
// hurry.
func (p *Process) RunWorker(ctx context.Context, w *worker.Worker) error {
	ended := make(chan struct{})
	defer close(ended)
	go func() { // waits for no more than the end of this function, which follows
		select {
		case <-p.Hurry:
			w.Close()
		case <-ended:
		}
	}()
	return w.Run(ctx)
}

// OrNone is a grace as worker.Config has it, where 0 means the default.
func OrNone(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9._:-]+`)

// WorkerName is a name that no other worker has.
func WorkerName() string {
	host, err := os.Hostname()
	host = strings.Trim(notInName.ReplaceAllString(host, "-"), "-._:")
	if err != nil || host == "" {
		host = "worker"
	}
	var suffix [3]byte
	_, _ = rand.Read(suffix[:]) // never fails
	return host[:min(len(host), 100)] + "-" + hex.EncodeToString(suffix[:])
}

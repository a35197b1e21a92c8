package fray

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/internal/dial"
	"github.com/frayrpc/fray/fray/internal/rayjobs"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/endpoint"
	"github.com/frayrpc/fray/internal/number"
)

// RayWorkers are the workers that the ray backend runs on a Ray cluster: processes of one program,
// each submitted as a job through Ray's Jobs REST API, of Ray 2.2 or later.
//
//	jc, err := fray.NewJobContext(ctx, fray.KindRay,
//		fray.WithRayAddress("http://head:8265"),
//		fray.WithControllerAddress("http://10.0.0.5:7070"),
//		fray.WithRayWorkers(fray.RayWorkers{Count: 8, Entrypoint: "./worker", WorkingDir: "dist", CPUs: 2}))
//
// The program is a worker made of package fray/worker that takes its configuration from
// worker.FromEnvironment, or "fray worker --allow-exec". It and this process reach the controller,
// which is no part of the cluster, at the same address: that of [WithControllerAddress], or else the
// value of FRAY_CONTROLLER_ADDRESS in the environment. The credential of this process must include the
// roles client and reader, where the controller has roles.
//
// [NewJobContext] returns once all workers are registered with the controller. A job that fails or
// is lost after that is submitted anew, five times in a row at most; one that ends well, or that others
// stop, is not. [JobContext.Close] stops them all. If this process ends without that, they end by
// themselves: each asks the controller now and then whether a client watches the job, and leaves
// once none has for a while.
//
// The workers execute tasks of all clients of the controller, as others do.
type RayWorkers struct {
	// Count is how many there are, from 1 to 1000.
	Count int
	// Entrypoint is the command for the shell of the node that starts one.
	Entrypoint string
	// CPUs, GPUs, MemoryBytes and Resources are what Ray reserves for each. If none is given, that is
	// one CPU: Ray would run them all on its head node.
	CPUs        float64
	GPUs        float64
	MemoryBytes int64
	Resources   map[string]float64
	// WorkingDir is a folder that is uploaded with all that is in it, 100 MiB zipped at most, or
	// the URI of one that Ray fetches, such as "s3://bucket/worker.zip". The entrypoint runs in it.
	// Empty: the program is on the nodes.
	WorkingDir string
	// Env are variables for the environment of each. Ray shows them to everybody who sees its
	// dashboard, so secrets such as FRAY_TOKEN are better set on its nodes. FRAY_CONTROLLER_ADDRESS
	// has workers reach the controller by another address than this process does.
	Env map[string]string
	// Wait is how long NewJobContext waits for them to register. 0: 5 minutes.
	Wait time.Duration
	// Lease is for how long no client must have watched the job before they leave, a second at
	// least. 0: a minute.
	Lease time.Duration
}

// Defaults and bounds of RayWorkers.
const (
	defaultRayWait  = 5 * time.Minute
	defaultRayLease = time.Minute
	minRayLease     = time.Second
	maxRayWorkers   = 1000
)

// Variables of Ray.
const (
	rayTokenVariable = "RAY_AUTH_TOKEN"
	// rayGraceVariable has how many seconds Ray lets a job that it stops go on before it kills it.
	// Its default of 3 is less than a worker may need for what it runs.
	rayGraceVariable = "RAY_JOB_STOP_WAIT_TIME_S"
	rayGrace         = 35 * time.Second
)

// reservedVariables are those that the backend sets for each worker.
var reservedVariables = []string{dial.WorkerIDVariable, dial.JobLeaseVariable, dial.JobLeaseTTLVariable}

// filled returns w with its defaults, or what is wrong with it.
func (w RayWorkers) filled() (RayWorkers, error) {
	if _, err := number.Within("ray workers", w.Count, 1, maxRayWorkers); err != nil {
		return w, err
	}
	if w.Entrypoint == "" {
		return w, errors.New("ray workers: Entrypoint is empty: give the command that starts a worker")
	}
	amounts := map[string]float64{"CPUs": w.CPUs, "GPUs": w.GPUs, "MemoryBytes": float64(w.MemoryBytes)}
	for name, amount := range w.Resources { // order-free: each is looked at below
		amounts["resource "+name] = amount
	}
	for _, name := range slices.Sorted(maps.Keys(amounts)) {
		if v := amounts[name]; v < 0 || math.IsNaN(v) || math.IsInf(v, 0) {
			return w, fmt.Errorf("ray workers: %s must be a number from 0 on, is %v", name, v)
		}
	}
	for _, name := range reservedVariables {
		if _, ok := w.Env[name]; ok {
			return w, fmt.Errorf("ray workers: Env has %s, which each worker is given by itself", name)
		}
	}
	if w.Wait < 0 {
		return w, fmt.Errorf("ray workers: Wait must not be negative, is %v", w.Wait)
	}
	w.Wait, w.Lease = cmp.Or(w.Wait, defaultRayWait), cmp.Or(w.Lease, defaultRayLease)
	if w.Lease < minRayLease {
		return w, fmt.Errorf("ray workers: Lease must be %v at least, is %v", minRayLease, w.Lease)
	}
	if w.CPUs == 0 && w.GPUs == 0 && w.MemoryBytes == 0 && len(w.Resources) == 0 {
		w.CPUs = 1
	}
	return w, nil
}

// ray is the ray backend: the fray backend, and workers for it.
type ray struct {
	*remote

	fleet *rayFleet
}

// newRay returns the backend once its workers are registered.
func newRay(ctx context.Context, jc *JobContext, config jobConfig) (*ray, error) {
	if config.address == "" {
		config.address = environment(dial.ControllerVariable)
	}
	if config.address == "" {
		return nil, fmt.Errorf("controller address required for ray context: give that of one which this process and the nodes of the Ray cluster reach, or set %s",
			dial.ControllerVariable)
	}
	if config.ray.address == "" {
		return nil, errors.New("ray address required for ray context: give the URL of the cluster's dashboard, like http://head:8265")
	}
	workers, err := config.ray.workers.filled()
	if err != nil {
		return nil, err
	}
	b := &ray{}
	if b.remote, err = newRemote(ctx, jc, config); err != nil {
		return nil, err
	}
	fail := func(err error) (*ray, error) {
		b.shutdown()
		return nil, errors.Join(err, b.wait())
	}
	ctx, cancel := context.WithTimeout(ctx, workers.Wait)
	defer cancel()
	if b.fleet, err = newRayFleet(b.link, config, workers); err != nil {
		return fail(err)
	}
	if err := b.attend(ctx); err != nil {
		return fail(err)
	}
	if err := b.fleet.start(ctx); err != nil {
		return fail(err)
	}
	b.fleet.keepAll()
	return b, nil
}

// attend has the controller know that a client is there for the workers that come.
func (b *ray) attend(ctx context.Context) error {
	var res *frayv1.GetJobResponse
	err := b.do(ctx, "GetJob", 0, func(ctx context.Context) (err error) {
		res, err = b.client.GetJob(ctx, &frayv1.GetJobRequest{JobId: b.jc.jobID})
		return err
	})
	if connect.CodeOf(err) == connect.CodeUnimplemented {
		return fmt.Errorf("ask controller for job %s: %w: its release is earlier than the ray backend needs", b.jc.jobID, err)
	}
	if err != nil {
		return fmt.Errorf("ask controller for job %s: %w", b.jc.jobID, err)
	}
	b.watcher.attend(res.GetNextCursor())
	return nil
}

// why tells of workers that are gone, too.
func (b *ray) why(c *call) error {
	why, gone := b.remote.why(c), b.fleet.gone()
	if why != nil && gone != nil {
		return fmt.Errorf("%w; %w", why, gone)
	}
	return cmp.Or(why, gone)
}

// wait stops the workers once nothing submits any more.
func (b *ray) wait() error {
	err := b.remote.wait()
	if b.fleet != nil {
		err = errors.Join(err, b.fleet.stop())
	}
	return err
}

// rayVariables are what all workers find in their environment.
func rayVariables(jc *JobContext, config jobConfig, w RayWorkers) map[string]string {
	vars := map[string]string{
		dial.JobLeaseVariable: jc.jobID, dial.JobLeaseTTLVariable: w.Lease.String(),
		rayGraceVariable: strconv.FormatInt(int64(rayGrace/time.Second), 10),
	}
	if address, err := endpoint.Parse(config.address); err == nil { // It was parsed before.
		vars[dial.ControllerVariable] = address
	}
	maps.Copy(vars, w.Env)
	return vars
}

// newRayClient returns a client of the cluster.
func newRayClient(config rayConfig, r *dial.Rand) (*rayjobs.Client, error) {
	return rayjobs.New(rayjobs.Config{URL: config.address, Token: config.token, Rand: r.Float64})
}

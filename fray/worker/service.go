package worker

import (
	"context"
	"net/http"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"

	"github.com/frayrpc/fray/fray/core/slots"
	"github.com/frayrpc/fray/fray/internal/serve"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/number"
)

// newServer returns what the worker tells about itself by, or nil if it is not to listen.
func (w *Worker) newServer() (*serve.Server, error) {
	if w.cfg.ListenAddress == "" && w.cfg.Listener == nil {
		return nil, nil
	}
	validated, err := serve.Validated()
	if err != nil {
		return nil, err
	}
	secure, err := w.cfg.TLS.Listen(w.logger)
	if err != nil {
		return nil, err
	}
	return serve.New(serve.Config{
		TLS:      secure,
		Address:  w.cfg.ListenAddress,
		Listener: w.cfg.Listener,
		Services: []serve.Service{{
			Name: frayv1connect.WorkerServiceName,
			New: func(opts ...connect.HandlerOption) (string, http.Handler) {
				return frayv1connect.NewWorkerServiceHandler(service{w}, append(opts, validated)...)
			},
		}},
		Checker:        checker{w},
		HandlerOptions: w.cfg.HandlerOptions,
		Middleware:     w.cfg.Middleware,
		Registerer:     w.cfg.Registerer,
		Gatherer:       w.cfg.Gatherer,
		MetricsAddress: w.cfg.MetricsAddress,
		Access:         w.cfg.Access,
		Logger:         w.logger,
	})
}

// health sums the worker up.
func (w *Worker) health() *frayv1.HealthCheckResponse {
	now := w.lock()
	defer w.mu.Unlock()
	c := w.slots.Counts()
	health := frayv1.WorkerHealth_WORKER_HEALTH_SERVING
	switch {
	case w.slots.Draining():
		health = frayv1.WorkerHealth_WORKER_HEALTH_DRAINING
	case w.session == nil || now.Sub(w.session.renewed) > w.session.ttl:
		// A controller that does not answer for so long has ended the session, if it is there at
		// all.
		health = frayv1.WorkerHealth_WORKER_HEALTH_DISCONNECTED
	case c.Free == 0 && c.Running == 0:
		health = frayv1.WorkerHealth_WORKER_HEALTH_STUCK
	}
	return &frayv1.HealthCheckResponse{
		Health:         health,
		WorkerId:       w.cfg.ID,
		Slots:          number.Clamp[uint32](w.cfg.Slots),
		RunningCount:   number.Clamp[uint32](c.Running + c.Blocked),
		QueuedCount:    number.Clamp[uint32](c.Queued),
		AbandonedCount: number.Clamp[uint32](c.Abandoned),
		OutboxCount:    number.Clamp[uint32](c.Outbox),
		StartedUnixMs:  w.line.Start().UnixMilli(),
	}
}

// service is the worker's WorkerService.
type service struct{ *Worker }

// HealthCheck implements frayv1connect.WorkerServiceHandler.
func (s service) HealthCheck(context.Context, *frayv1.HealthCheckRequest) (*frayv1.HealthCheckResponse, error) {
	return s.health(), nil
}

// ListTasks implements frayv1connect.WorkerServiceHandler.
func (s service) ListTasks(context.Context, *frayv1.WorkerServiceListTasksRequest) (*frayv1.WorkerServiceListTasksResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	res := &frayv1.WorkerServiceListTasksResponse{}
	for _, v := range s.slots.Attempts() {
		a, _ := v.Value.(*attempt)
		task := &frayv1.WorkerTask{Attempt: a.wire, Function: a.name, State: attemptState(v.Phase)}
		if v.Phase == slots.Running || v.Phase == slots.Abandoned {
			task.RunDurationMs = number.Millis(now.Sub(v.Started))
		}
		res.Tasks = append(res.Tasks, task)
	}
	return res, nil
}

// checker is the worker in gRPC's health protocol: it serves while it can take work.
type checker struct{ *Worker }

// Check implements grpchealth.Checker.
func (c checker) Check(context.Context, *grpchealth.CheckRequest) (*grpchealth.CheckResponse, error) {
	if c.health().GetHealth() == frayv1.WorkerHealth_WORKER_HEALTH_SERVING {
		return &grpchealth.CheckResponse{Status: grpchealth.StatusServing}, nil
	}
	return &grpchealth.CheckResponse{Status: grpchealth.StatusNotServing}, nil
}

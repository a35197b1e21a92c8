package system

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/sleep"
	"github.com/frayrpc/fray/sim/engine"
)

const (
	// drainEvery is how often an operator asks for a drain who gets no answer, and drainCall how long
	// each call may take.
	drainEvery = 500 * time.Millisecond
	drainCall  = 2 * time.Second
	// drainWithin is when the operator gives up.
	drainWithin = time.Minute
)

// Drain implements engine.System: an operator has the controller drain a worker, and asks again
// until it says that it will. A worker that it does not know may be about to register.
func (s *System) Drain(host string, grace time.Duration) {
	s.drains++
	s.run.Backend().Client(fmt.Sprintf("operator-drain-%d", s.drains), func(ctx context.Context, m engine.Machine) error {
		client := frayv1connect.NewControllerServiceClient(s.caller(m), s.firstURL(), s.shows(OperatorName))
		random := m.Rand("drain")
		ms := number.Millis(grace)
		for until := s.run.Elapsed() + drainWithin; s.run.Elapsed() < until; {
			bounded, cancel := context.WithTimeout(ctx, drainCall)
			_, err := client.DrainWorker(bounded, &frayv1.DrainWorkerRequest{WorkerId: host, GraceMs: &ms})
			cancel()
			if err == nil || connect.CodeOf(err) == connect.CodeInvalidArgument {
				return err
			}
			if sleep.For(ctx, drainEvery+time.Duration(random.Int64N(int64(engine.Jitter)))) != nil {
				return nil //nolint:nilerr // The run is over.
			}
		}
		return nil
	})
}

package bench

import (
	"context"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/internal/sleep"
)

// label is what workers of a run carry and its tasks require, with the name of the run: other runs at
// the same controller have tasks and workers of their own.
const label = "fray.bench"

// Functions are those of one run. Its workers execute them, and no other.
type Functions struct {
	run   string
	echo  *fray.Task[[]byte, []byte]
	sleep *fray.Task[time.Duration, time.Duration]
	// invert puts what an object has with its bits inverted.
	invert *fray.Task[fray.Ref[[]byte], fray.Ref[[]byte]]
	// No worker has it.
	nowhere *fray.Task[[]byte, []byte]
}

// NewFunctions returns the functions of a run with a name, which goes into a label.
func NewFunctions(run string) *Functions {
	mine := fray.WithLabels(map[string]string{label: run})
	echo := func(_ context.Context, in []byte) ([]byte, error) { return in, nil }
	return &Functions{
		run:  run,
		echo: fray.Define("fray.bench.echo", echo, mine),
		sleep: fray.Define("fray.bench.sleep", func(ctx context.Context, d time.Duration) (time.Duration, error) {
			return d, sleep.For(ctx, d)
		}, mine),
		invert: fray.Define("fray.bench.invert", func(ctx context.Context, of fray.Ref[[]byte]) (fray.Ref[[]byte], error) {
			body, err := of.Open(ctx)
			if err != nil {
				return of, err
			}
			defer body.Close()
			return fray.PutReader(ctx, inverted{body})
		}, mine),
		nowhere: fray.Define("fray.bench.nowhere", echo, mine),
	}
}

// OfWorkers returns what the workers of the run execute.
func (f *Functions) OfWorkers() []fray.Function { return []fray.Function{f.echo, f.sleep, f.invert} }

// Labels returns what the workers of the run carry.
func (f *Functions) Labels() map[string]string { return map[string]string{label: f.run} }

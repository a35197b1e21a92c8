package speed_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/sim/bubble"
	"github.com/frayrpc/fray/sim/speed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Each way measures the work that it was asked for.
func TestSamples(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		measure         func() (speed.Sample, error)
		messages, hosts int // at least; exactly
		virtual         time.Duration
		heap            bool
	}{
		"echo":   {func() (speed.Sample, error) { return speed.Echo(bubble.In(t), 100) }, 200, 17, time.Millisecond, false},
		"pipe":   {func() (speed.Sample, error) { return speed.Pipe(bubble.In(t), 100) }, 200, 0, 0, false},
		"direct": {func() (speed.Sample, error) { return speed.Direct(100) }, 200, 0, 0, false},
		// A heartbeat each second of each.
		"idle": {func() (speed.Sample, error) { return speed.Idle(t.Context(), bubble.In(t), 2, time.Minute) }, 2 * 2 * 60, 4, time.Minute, false},
		// Each of its tasks takes submission, lease and report.
		"crash":      {func() (speed.Sample, error) { return speed.Crash(t.Context(), bubble.In(t), 3, 2) }, 2 * 60, 5, 80 * time.Second, false},
		"crash heap": {func() (speed.Sample, error) { return speed.CrashHeap(t.Context(), bubble.In(t), 20) }, 400, 23, 40 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := test.measure()
			if err != nil {
				t.Fatal(err)
			}
			if s.Messages < test.messages || s.Hosts != test.hosts || s.Virtual < test.virtual || s.Wall <= 0 || s.Rate() <= 0 {
				t.Errorf("the sample is %+v, want %d messages and %v at least, and %d hosts", s, test.messages, test.virtual, test.hosts)
			}
			if (s.Heap != 0) != test.heap {
				t.Errorf("the heap is %d", s.Heap)
			}
		})
	}
}

// What did not run to its end is no measure.
func TestNoSample(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := speed.Crash(ctx, bubble.In(t), 3, 1); err == nil {
		t.Errorf("a run that was given up is the sample %+v", s)
	}
}

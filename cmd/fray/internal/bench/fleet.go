package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/frayrpc/fray/internal/sleep"
)

// fleetSlots are those of each worker process of fleet.
const fleetSlots = 4

// idleFactor is how many durations idle goes on: what a controller without work takes is little, and is
// told in hundredths of a second.
const idleFactor = 10

// maxIdleTime is how long idle goes on at most.
const maxIdleTime = time.Minute

// crewed calls fn with a controller that has workers of its own, which end then.
func (m *meter) crewed(ctx context.Context, crew Crew, fn func(target *Target) error) (err error) {
	target, end, err := m.Fresh(ctx, crew)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	return fn(&target)
}

// others says, and notes, that there are no controllers but one of others.
func (m *meter) others() bool {
	if m.Fresh == nil {
		m.leaveOut("the controller is not its own")
	}
	return m.Fresh == nil
}

func fleets(ctx context.Context, m *meter) error {
	if m.others() {
		return nil
	}
	for _, processes := range m.Fleets {
		err := m.crewed(ctx, Crew{processes, 1, fleetSlots}, func(target *Target) error {
			return m.sleeps(ctx, fmt.Sprintf("fleet/%d", processes), target)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// idle looks at the controller alone, so that the workers may well be in one process. Each has its own
// connections, as it has in a process of its own.
func idle(ctx context.Context, m *meter) error {
	if m.others() {
		return nil
	}
	return m.crewed(ctx, Crew{Processes: 1, Workers: m.Idle, Slots: 1}, func(target *Target) error {
		if target.Metrics == nil {
			m.leaveOut("the controller's metrics are not known")
			return nil
		}
		// What their registration has left to do is no part of it.
		if err := sleep.For(ctx, min(m.Duration, maxIdleTime)); err != nil {
			return err
		}
		before, err := target.Metrics(ctx)
		if err != nil {
			return err
		}
		if _, ok := before[metricCPU]; !ok {
			m.leaveOut("the controller does not tell its CPU time")
			return nil
		}
		begun := time.Now()
		if err := sleep.For(ctx, min(idleFactor*m.Duration, maxIdleTime)); err != nil {
			return err
		}
		took := time.Since(begun)
		after, err := target.Metrics(ctx)
		if err != nil {
			return err
		}
		m.came.Add(1)
		m.note("idle", sample{count: m.Idle, took: took, value: 100 * (after[metricCPU] - before[metricCPU]) / took.Seconds()})
		return nil
	})
}

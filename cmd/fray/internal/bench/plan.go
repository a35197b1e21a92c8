package bench

import (
	"errors"
	"fmt"
	"time"
)

// Bounds of a plan.
const (
	// MaxTasks is how many tasks one repetition of a workload runs at most.
	MaxTasks = 1_000_000
	// MaxCallers is how many goroutines call at a time.
	MaxCallers = 1024
	// MaxRepeat is how often each workload runs.
	MaxRepeat = 1000
	// MaxDuration is how long each goes on.
	MaxDuration = time.Hour
	// MaxPayload is the greatest input, in bytes, as far as this process goes; a controller may take
	// less.
	MaxPayload = 64 << 20
)

// A Plan says how much each workload does.
type Plan struct {
	// Tasks are those of one repetition of batch, and of run at most.
	Tasks int `json:"tasks"`
	// Queued are those of queue.
	Queued int `json:"queued"`
	// Callers are the numbers of goroutines that run and call have, one after the other.
	Callers []int `json:"callers"`
	// Duration is how long each of call, fanout, payload and the limits goes on, and run at most.
	Duration time.Duration `json:"duration_ns"`
	// PayloadBytes is the size of the inputs of payload.
	PayloadBytes int `json:"payload_bytes"`
	// Repeat is how often each workload runs.
	Repeat int `json:"repeat"`
}

// DefaultPlan takes about half a minute.
func DefaultPlan() Plan {
	return Plan{Tasks: 20_000, Queued: 100_000, Callers: []int{1, 8, 64}, Duration: time.Second, PayloadBytes: 1 << 20, Repeat: 3}
}

// Validate returns what is wrong with p, all of it.
func (p *Plan) Validate() error {
	var errs []error
	within := func(what string, n, most int) {
		if n < 1 || n > most {
			errs = append(errs, fmt.Errorf("%s: %d is not from 1 to %d", what, n, most))
		}
	}
	within("tasks", p.Tasks, MaxTasks)
	within("queued tasks", p.Queued, MaxTasks)
	within("payload bytes", p.PayloadBytes, MaxPayload)
	within("repetitions", p.Repeat, MaxRepeat)
	if len(p.Callers) == 0 {
		errs = append(errs, errors.New("callers: there is no number of them"))
	}
	for _, n := range p.Callers {
		within("callers", n, MaxCallers)
	}
	if p.Duration <= 0 || p.Duration > MaxDuration {
		errs = append(errs, fmt.Errorf("duration: %s is not from 1ns to %s", p.Duration, MaxDuration))
	}
	return errors.Join(errs...)
}

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
	// MaxFleet is how many worker processes fleet starts.
	MaxFleet = 1024
	// MaxIdle is how many workers idle has, which is as many as a controller takes.
	MaxIdle = 10_000
	// MaxPayload is the greatest input, in bytes, as far as this process goes; a controller may take
	// less.
	MaxPayload = 64 << 20
	// MaxObject is the size of an object, in bytes: the least machine that is any use moves so much before
	// the run looks stalled.
	MaxObject = 2 << 30
)

// A Plan says how much each workload does.
type Plan struct {
	// Tasks are those of one repetition of batch, and of run at most.
	Tasks int `json:"tasks"`
	// Queued are those of queue.
	Queued int `json:"queued"`
	// Callers are the numbers of goroutines that run and call have, one after the other.
	Callers []int `json:"callers"`
	// Fleets are the numbers of worker processes that fleet has, one after the other.
	Fleets []int `json:"fleets"`
	// Idle are the workers of idle.
	Idle int `json:"idle"`
	// Duration is how long each of call, fanout, fleet, payload and the limits goes on, run at most, and a
	// tenth of idle.
	Duration time.Duration `json:"duration_ns"`
	// PayloadBytes is the size of the inputs of payload.
	PayloadBytes int `json:"payload_bytes"`
	// ObjectBytes is the size of the object of objects.
	ObjectBytes int `json:"object_bytes"`
	// MemoryBytes is how much more memory than idle objects may take of the controller, and of the worker;
	// 0: any.
	MemoryBytes int `json:"memory_bytes,omitempty"`
	// Repeat is how often each workload runs.
	Repeat int `json:"repeat"`
}

// DefaultPlan takes about half a minute.
func DefaultPlan() Plan {
	return Plan{Tasks: 20_000, Queued: 100_000, Callers: []int{1, 8, 64}, Fleets: []int{1, 4, 16, 64}, Idle: 1000, Duration: time.Second, PayloadBytes: 1 << 20, ObjectBytes: 1 << 30, Repeat: 3}
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
	within("object bytes", p.ObjectBytes, MaxObject)
	within("repetitions", p.Repeat, MaxRepeat)
	within("idle workers", p.Idle, MaxIdle)
	each := func(what string, numbers []int, most int) {
		if len(numbers) == 0 {
			errs = append(errs, fmt.Errorf("%s: there is no number of them", what))
		}
		for _, n := range numbers {
			within(what, n, most)
		}
	}
	each("callers", p.Callers, MaxCallers)
	each("worker processes of fleet", p.Fleets, MaxFleet)
	if p.Duration <= 0 || p.Duration > MaxDuration {
		errs = append(errs, fmt.Errorf("duration: %s is not from 1ns to %s", p.Duration, MaxDuration))
	}
	return errors.Join(errs...)
}
